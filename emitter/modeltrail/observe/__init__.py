"""Pure looks at the world: code, environment, data, models. Nothing here emits or raises for odd input."""
