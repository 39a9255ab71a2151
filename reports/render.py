"""Renders a document: HTML on its own (Jinja2), DOCX (python-docx), PDF (Typst), JSON, and plain text."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import jinja2
import typst
from docx import Document as Word
from docx.enum.section import WD_ORIENT
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

from forbear.reports import markup
from forbear.reports.document import Document, Field, Open, Paragraph, Section, Table, Text, to_json

_html = jinja2.Environment(
    loader=jinja2.PackageLoader("forbear.reports"), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
)
_html.globals["markdown"] = markup.html
_OPEN, _QUIET = RGBColor(0x8A, 0x4B, 0x00), RGBColor(0x4A, 0x5A, 0x61)
_A4, _MARGIN = (Mm(297), Mm(210)), Mm(18)
_LINE = 112
_LONG, _PADDING = 18, 5
"""Widths in letters of a table's font: of a page, of a word that may be broken, of a cell's two edges."""


def _about(document: Document) -> list[tuple[str, str]]:
    still_open = sum(1 for _ in document.open_points())
    return [
        *document.about,
        ("Made", f"{datetime.fromisoformat(document.made).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"),
        ("Digest of this document", document.digest),
        ("Open places", f"{still_open}: marked, and to be filled by the operator" if still_open else "none"),
    ]


def html(document: Document) -> bytes:
    """Renders one self-contained HTML file."""
    return _html.get_template("document.html").render(document=document, about=_about(document)).encode()


def as_json(document: Document) -> bytes:
    """Renders JSON, with the document's digest."""
    content = {"digest": document.digest, **to_json(document)}
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode()


def text(document: Document) -> bytes:
    """Renders plain text for a terminal."""
    lines = [document.title, "", *(f"{name}: {value}" for name, value in _about(document))]
    for section in document.sections:
        lines += _text_of(section, 0)
    return ("\n".join(lines) + "\n").encode()


def _text_of(section: Section, level: int) -> Iterator[str]:
    yield from ("", ("# " if level == 0 else "## ") + section.title, "")
    for block in section.blocks:
        if isinstance(block, Paragraph):
            yield _plain(block.text)
        elif isinstance(block, Field):
            yield f"{_asked(block)} {_plain(block.value)}"
        else:
            for row in block.rows:
                cells = (f"{name}: {_plain(cell)}" for name, cell in zip(block.columns, row, strict=True) if cell != "")
                yield "- " + "; ".join(cells)
    for inner in section.sections:
        yield from _text_of(inner, level + 1)


def _asked(block: Field) -> str:
    return block.label if block.label.endswith("?") else f"{block.label}:"


def _plain(text: Text) -> str:
    return f"[open: {text.ask}]" if isinstance(text, Open) else text


def docx(document: Document) -> bytes:
    """Renders a Word file, landscape for its wide tables. The same document gives the same bytes."""
    word = Word()
    page = word.sections[0]
    page.orientation, (page.page_width, page.page_height) = WD_ORIENT.LANDSCAPE, _A4
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = _MARGIN
    normal = word.styles["Normal"]
    normal.font.size, normal.paragraph_format.space_after = Pt(10), Pt(6)
    made = datetime.fromisoformat(document.made).replace(tzinfo=None)
    properties = word.core_properties
    properties.title, properties.author, properties.created, properties.modified = document.title, "", made, made
    foot = page.footer.paragraphs[0]
    foot.add_run(_xml(f"{document.title}, digest {document.digest[:16]}…, page ")).font.size = Pt(8)
    _word_element(foot, "fldSimple", instr="PAGE")
    word.add_heading(_xml(document.title), 0)
    _word_table(word, ("", ""), tuple(_about(document)))
    for section in document.sections:
        _word_section(word, section, 1)
    file = io.BytesIO()
    word.save(file)
    return _with_one_time(file.getvalue())


def _word_element(parent: Any, name: str, **attributes: str) -> None:
    """Adds an element that python-docx lacks, by its name in WordprocessingML (ECMA-376 part 1, 17)."""
    made = OxmlElement(f"w:{name}")
    for key, value in attributes.items():
        made.set(qn(f"w:{key}"), value)
    (parent._p if hasattr(parent, "_p") else parent).append(made)


def _word_section(word: Any, section: Section, level: int) -> None:
    word.add_heading(_xml(section.title), min(level, 9))
    for block in section.blocks:
        if isinstance(block, Table):
            if block.title:
                title = word.add_paragraph()
                title.add_run(_xml(block.title)).bold = True
                title.paragraph_format.keep_with_next = True
            _word_table(word, block.columns, block.rows)
            continue
        if isinstance(block, Paragraph) and block.markdown:
            paragraph = _word_markdown(word, str(block.text))
        else:
            paragraph = word.add_paragraph()
            if isinstance(block, Field):
                paragraph.add_run(_xml(f"{_asked(block)} ")).bold = True
            _word_text(paragraph, block.value if isinstance(block, Field) else block.text)
        if block.source:
            run = paragraph.add_run(_xml(f"\n{block.source}"))
            run.italic, run.font.size, run.font.color.rgb = True, Pt(8), _QUIET
    for inner in section.sections:
        _word_section(word, inner, level + 1)


def _word_markdown(word: Any, text: str) -> Any:
    """Adds the operator's paragraphs; returns the last one."""
    paragraph = word.add_paragraph()
    for number, line in enumerate(markup.lines(text)):
        paragraph = word.add_paragraph() if number else paragraph
        paragraph.paragraph_format.left_indent = Mm(6 * (line.depth + (line.kind == "quote")))
        if line.marker:
            paragraph.add_run(_xml(f"{line.marker} "))
        for part in line.runs:
            run = paragraph.add_run(_xml(part.text))
            run.bold = part.style == "strong" or line.kind == "heading"
            run.italic = part.style == "emphasis"
            if part.style == "code":
                run.font.name = "Courier New"
    return paragraph


def _word_table(word: Any, columns: tuple[str, ...], rows: tuple[tuple[Text, ...], ...]) -> None:
    cells = [columns, *rows] if any(columns) else list(rows)
    table = word.add_table(rows=len(cells), cols=len(columns))
    table.style, table.autofit = "Table Grid", False
    width = _A4[0] - 2 * _MARGIN
    for column, share in zip(table.columns, _shares([[_plain(value) for value in row] for row in cells]), strict=True):
        column.width = round(width * share)
    for number, (row, values) in enumerate(zip(table.rows, cells, strict=True)):
        head = number == 0 and any(columns)
        _word_element(row._tr.get_or_add_trPr(), "cantSplit")
        if head:
            _word_element(row._tr.get_or_add_trPr(), "tblHeader")
        for cell, column, text in zip(row.cells, table.columns, values, strict=True):
            cell.width = column.width
            paragraph = cell.paragraphs[0]
            paragraph.paragraph_format.space_after, paragraph.paragraph_format.keep_with_next = Pt(0), head
            run = _word_text(paragraph, text)
            run.font.size = Pt(8.5)
            if head:
                run.bold = True
                _word_element(cell._tc.get_or_add_tcPr(), "shd", val="clear", fill="EEF2F4")
    word.add_paragraph()


def _shares(cells: list[list[str]]) -> list[float]:
    """Returns the width of each column: at least its longest word, and a share of the rest by its text."""
    columns = list(zip(*cells, strict=True))
    longest = [max(len(word) for text in column for word in (text.split() or ("",))) for column in columns]
    needed = [min(letters, _LONG) + _PADDING for letters in longest]
    wanted = [max(map(len, column)) + _PADDING for column in columns]
    more = [max(0, want - need) for want, need in zip(wanted, needed, strict=True)]
    left = max(0, _LINE - sum(needed))
    widths = [need + left * some / (sum(more) or 1) for need, some in zip(needed, more, strict=True)]
    return [width / sum(widths) for width in widths]


def _word_text(paragraph: Any, text: Text) -> Any:
    run = paragraph.add_run(_xml(_plain(text)))
    if isinstance(text, Open):
        run.bold, run.font.color.rgb = True, _OPEN
    return run


def _xml(text: str) -> str:
    """Replaces control characters, which XML 1.0 cannot hold."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def _with_one_time(packed: bytes) -> bytes:
    """Returns the same ZIP file with one time for all its members."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            member = zipfile.ZipInfo(name)
            member.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(member, old.read(name))
    return out.getvalue()


def pdf(document: Document) -> bytes:
    """Renders a PDF with Typst; its text comes from JSON, so that nothing in it is taken for markup."""
    content = to_json(document) | {"about": [list(pair) for pair in _about(document)], "digest": document.digest}
    for section in content["sections"]:
        _add_lines(section)
    template = files("forbear.reports").joinpath("templates", "document.typ").read_bytes()
    made = typst.compile(template, sys_inputs={"document": json.dumps(content)})
    assert isinstance(made, bytes)
    return made


def _add_lines(section: dict[str, Any]) -> None:
    for block in section["blocks"]:
        if block.get("markdown"):
            block["lines"] = markup.to_json(block["text"])
    for inner in section["sections"]:
        _add_lines(inner)


FORMS: dict[str, Callable[[Document], bytes]] = {
    ".html": html,
    ".docx": docx,
    ".pdf": pdf,
    ".json": as_json,
    ".txt": text,
}
"""The renderers, by extension of the file's name."""
