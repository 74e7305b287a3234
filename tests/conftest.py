import gc

gc.disable()  # until the tests are collected: what is imported and collected stays

pytest_plugins = ["tests.support.plugin"]
