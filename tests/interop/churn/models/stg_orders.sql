select customer, amount, churned from {{ source('raw', 'orders') }} where amount > 0
