"""The steps of the pipeline, one per file; their order is in `apiserver/pipeline.py`."""
