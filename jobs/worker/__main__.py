from jobs.worker.main import main

main()
