{{ config(materialized='table') }}
select customer, avg(amount) as average, count(*) as orders, max(churned) as label
from {{ ref('stg_orders') }}
group by customer
