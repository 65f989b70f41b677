"""Pure looks at the world: code, environment, data, models. Nothing here emits, and odd input never raises."""
