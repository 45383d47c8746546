"""Figures for others to keep: Prometheus (`prometheus`), and files of JSON lines (`json_lines`)."""
