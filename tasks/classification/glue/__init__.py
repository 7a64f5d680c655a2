"""The tasks of GLUE (Wang et al. 2019), one file each, and the writer of a submission."""
