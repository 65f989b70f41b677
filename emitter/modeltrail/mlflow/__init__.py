"""The bridge from MLflow: what MLflow is told, told as OpenLineage events too.

MLflow loads it by its entry points, where a tracking or registry URI begins with `modeltrail+`; and so does
`modeltrail import mlflow`. Nothing else imports it.

```
stores      the entry points: MLflow's own store, watched     tracking    what a run tells while it goes on
record      from MLflow's record of a run to its events       registry    what happens to model versions
datasets    its datasets                                      models      its models
names       its ids, URIs and times                           artifacts   what goes through a server
evaluations what was scored on its datasets
joining     what our own runs saw of it
backfill    what a server has, told afterwards
```
"""
