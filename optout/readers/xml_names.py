"""Resolves namespaces of elements and attributes (Namespaces in XML 1.0).

Expat can resolve names too, but copies the URI, however long, for each name in a document, and still does so to the end
of its piece after a handler has refused the URI. Here a name is resolved once, for as long as its prefix means the
same URI. Names are ``namespace local prefix``, separated by blanks; one without a namespace is the local name.
"""

from __future__ import annotations

from forbear.optout.readers.errors import Unreadable

MAX_NAMESPACE = 1_024
"""Characters of a namespace's URI, and of its prefix."""
MAX_NAMESPACES = 250_000
"""How often a document may declare a namespace."""

_XML = "http://www.w3.org/XML/1998/namespace"
_XMLNS = "http://www.w3.org/2000/xmlns/"


class NotXml(Unreadable):
    """The file is not a well-formed document but a web page, for instance; it has nothing to read."""


class Names:
    """The namespaces that are declared where a document is read."""

    def __init__(self) -> None:
        self._uris: dict[str, list[str]] = {"": [""], "xml": [_XML]}
        """What each prefix means, the innermost element's declaration last."""
        self._number = 0
        self._prefixes: dict[str, str] = {}
        """A prefix of each URI."""
        self._has_synonyms = False
        """Whether two prefixes meant the same URI."""
        self._declared: list[tuple[int, list[str]]] = []
        """The depth of each open element that declares prefixes, and these."""
        self._elements = _Resolved(self._uris)
        self._attributes = _Resolved(self._uris, of_attributes=True)

    def start(self, name: str, attributes: dict[str, str], depth: int) -> tuple[str, dict[str, str]]:
        """Returns the names of an element and its attributes without its declarations. Raises NotXml, Unreadable."""
        if not attributes:
            return self._elements[name], attributes
        declared = [key for key in attributes if key.startswith("xmlns") and _is_declaration(key)]
        if declared:
            attributes = attributes.copy()
            self._declare([(key[6:], attributes.pop(key)) for key in declared], depth)
        names = self._attributes
        resolved = {names[key]: value for key, value in attributes.items()}
        if self._has_synonyms and len({name.rpartition(" ")[0] or name for name in resolved}) < len(attributes):  # 6.3
            raise NotXml("It is not well-formed XML: two attributes of an element have the same name.")
        return self._elements[name], resolved

    def end(self, name: str, depth: int) -> str:
        """Returns the name of an element that ends, and with it what it declared."""
        resolved = self._elements[name]
        if self._declared and self._declared[-1][0] == depth:
            for prefix in self._declared.pop()[1]:
                uris = self._uris[prefix]
                if uris.pop() != (uris[-1] if uris else None):
                    self._forget()
        return resolved

    def _declare(self, declared: list[tuple[str, str]], depth: int) -> None:
        self._number += len(declared)
        if self._number > MAX_NAMESPACES:
            raise Unreadable(f"It declares more than {MAX_NAMESPACES} namespaces.")
        for prefix, uri in declared:
            if len(uri) > MAX_NAMESPACE or len(prefix) > MAX_NAMESPACE:
                raise Unreadable(f"It has a namespace of more than {MAX_NAMESPACE} characters.")
            # 2.2, 3, 5: what is reserved, and that no prefix means nothing. A blank separates names here.
            if (prefix == "xml") != (uri == _XML) or prefix == "xmlns" or uri == _XMLNS or " " in uri:
                raise NotXml(f"It is not well-formed XML: it declares {prefix} as a namespace that it cannot be.")
            if prefix and not uri:
                raise NotXml(f"It is not well-formed XML: it declares {prefix} as no namespace.")
            uris = self._uris.setdefault(prefix, [])
            if not uris or uris[-1] != uri:
                self._forget()
            uris.append(uri)
            self._has_synonyms |= bool(prefix) and self._prefixes.setdefault(uri, prefix) != prefix
        self._declared.append((depth, [prefix for prefix, _ in declared]))

    def _forget(self) -> None:
        self._elements.clear()
        self._attributes.clear()


class _Resolved(dict[str, str]):
    """Names as written, and what they are short for. An attribute without a prefix has no namespace (6.2)."""

    def __init__(self, uris: dict[str, list[str]], *, of_attributes: bool = False) -> None:
        super().__init__()
        self._uris = uris
        self._of_attributes = of_attributes

    def __missing__(self, written: str) -> str:
        prefix, colon, local = written.rpartition(":")
        uris = self._uris.get(prefix) if colon or not self._of_attributes else [""]
        if not uris or ":" in prefix or not local or (colon and not prefix):
            raise NotXml(f"It is not well-formed XML: unbound prefix: {written[:MAX_NAMESPACE]}.")
        name = f"{uris[-1]} {local} {prefix}".rstrip(" ") if uris[-1] else local
        self[written] = name
        return name


def _is_declaration(key: str) -> bool:
    return key == "xmlns" or key.startswith("xmlns:")
