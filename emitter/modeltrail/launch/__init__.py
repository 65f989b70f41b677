"""`modeltrail run -- CMD`: an unchanged program under observation.

The wrapper (`wrapper`) sends the first and the last event; the program's first Python process (`child`)
writes down what it knows into a state file after each change, so that the wrapper can tell it whatever
happens to the program. `site/sitecustomize.py` is how Python finds us.
"""
