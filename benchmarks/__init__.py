"""Speed as ratios: the product beside what others use, in one run. `python -m benchmarks`; not part of the product.

The product imports nothing from here. `baselines` are the others' ways, `programs` what is measured of our own where no
command of `flows` does it alone, `rows` what is compared, `full` the whole data set once.
"""
