from jobs.sandbox.launcher import main

main()
