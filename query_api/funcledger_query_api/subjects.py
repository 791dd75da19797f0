"""The manifest as a schema registry sees it: subjects with versions, and schemas by id."""

from funcledger_schemas import manifest
from funcledger_schemas.manifest import Entry

_NO_SUBJECT, _NO_VERSION, _NO_SCHEMA, _BAD_VERSION = 40401, 40402, 40403, 42202


class RegistryError(Exception):
    """What a registry says against a request; ``code`` is Confluent's and begins with the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Subjects:
    """The manifest by subject and by id; topics are named with ``prefix``, as the cluster names them."""

    def __init__(self, prefix: str) -> None:
        self._by_name: dict[str, list[Entry]] = {}
        for entry in manifest.entries():
            self._by_name.setdefault(entry.subject(prefix), []).append(entry)
        self._by_id = {entry.id: (name, entry) for name, found in self._by_name.items() for entry in found}

    def names(self) -> list[str]:
        """Every subject."""
        return list(self._by_name)

    def versions(self, subject: str) -> list[Entry]:
        """A subject's schemas, oldest first.

        Raises:
            RegistryError: there is no such subject.
        """
        if subject not in self._by_name:
            raise RegistryError(_NO_SUBJECT, f"Subject '{subject}' not found.")
        return self._by_name[subject]

    def version(self, subject: str, version: str) -> Entry:
        """One of them, by its number or as ``latest``.

        Raises:
            RegistryError: no such subject or version, or no version at all.
        """
        found = self.versions(subject)
        if version in ("latest", "-1"):
            return found[-1]
        if not (version.isascii() and version.isdigit() and len(version) < 10 and int(version) > 0):
            raise RegistryError(_BAD_VERSION, f"'{version}' is no version: send a number from 1 or 'latest'.")
        for entry in found:
            if entry.version == int(version):
                return entry
        raise RegistryError(_NO_VERSION, f"Version {version} not found.")

    def of_id(self, number: int) -> tuple[str, Entry]:
        """The schema of this id and its subject.

        Raises:
            RegistryError: there is none.
        """
        if number not in self._by_id:
            raise RegistryError(_NO_SCHEMA, f"Schema {number} not found.")
        return self._by_id[number]
