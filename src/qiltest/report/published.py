"""The one place where reports take the published report's section in; without it nothing else here would change."""

from qiltest.published.findings import Finding
from qiltest.published.marks import ReportMark
from qiltest.published.section import Published, published_in, published_lines, templates

__all__ = ["Finding", "Published", "ReportMark", "published_in", "published_lines", "templates"]
