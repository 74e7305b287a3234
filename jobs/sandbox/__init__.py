"""The sandbox: it runs a program that nobody trusts, without the network, within bounds, on files that it may read.

`commands.launch_command` is what a worker starts, `reports.ended` says afterwards how the program ended. A worker on a
cluster's node has only the standard library, so this wing needs nothing else. It works on Linux alone.

No sandbox can be had inside a sandbox. Whatever runs in one sees all that is shown there: an evaluator that has the
reference data shown and runs the code of a participant shows it to that code. Run the code first, in a sandbox without
the reference data, and its output then in another with them.
"""
