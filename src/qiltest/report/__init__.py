"""Reports of a run: one offline HTML file, Markdown, JSON, the page of a CI job, and text for a terminal."""

from qiltest.report.ci import job_summary, workflow_commands
from qiltest.report.html.page import write_html
from qiltest.report.json_report import report_json, write_json
from qiltest.report.markdown import write_markdown

__all__ = ["job_summary", "report_json", "workflow_commands", "write_html", "write_json", "write_markdown"]
