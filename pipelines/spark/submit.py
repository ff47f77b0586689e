"""The file for `spark-submit`, which takes no console script: `spark-submit [...] pipelines/spark/submit.py build --engine spark`."""

from pipelines.cli import main

if __name__ == "__main__":
    main()
