"""Endpoints' credentials, known from the catalogue by their SHA-256."""

from collections.abc import Awaitable, Callable

from funcledger_web.auth import Principal
from funcledger_web.catalogue import Catalogue
from funcledger_web.tokens import ENDPOINT_PREFIX, digest, well_formed


class EndpointCredentials:
    """An authenticator of endpoints. A deleted endpoint's credential opens nothing any more.

    ``refresh`` brings the catalogue up to the log's present end: it is called once for a credential not
    known, so that one registered a moment ago, elsewhere, is not turned away (law 9).
    """

    def __init__(self, catalogue: Catalogue, refresh: Callable[[], Awaitable[object]]) -> None:
        self._catalogue = catalogue
        self._refresh = refresh

    async def authenticate(self, token: str) -> Principal | None:
        """The endpoint the credential belongs to."""
        if not (token.startswith(ENDPOINT_PREFIX) and well_formed(token)):
            return None
        credential = digest(token)
        found = self._catalogue.endpoint_of_credential(credential)
        if found is None:
            await self._refresh()
            found = self._catalogue.endpoint_of_credential(credential)
        return Principal.endpoint(found.endpoint_id) if found is not None else None
