{{ config(materialized='external') }}
select * from {{ ref('features') }}
