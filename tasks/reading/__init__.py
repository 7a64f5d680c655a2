"""Reading published data: files by their names, rows in every form, data sets of the hub, a share of the examples."""
