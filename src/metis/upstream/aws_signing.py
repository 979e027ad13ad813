"""Signing requests to AWS (Signature Version 4) with botocore's own signer and credentials; the `bedrock` extra.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from metis.errors import ConfigError

_SERVICE: Final = "bedrock"
_KEY_ID: Final = "AWS_ACCESS_KEY_ID"
_SECRET: Final = "AWS_SECRET_ACCESS_KEY"
_TOKEN: Final = "AWS_SESSION_TOKEN"


class AwsSigner:
    """See `providers.provider.Signer`. Temporary credentials are renewed by botocore when they are about to end."""

    def __init__(self, credentials: Any, region: str) -> None:
        self._credentials = credentials
        self._region = region

    def sign(self, method: bytes, url: str, body: bytes) -> bytes:
        request = AWSRequest(method=method.decode("ascii"), url=url, data=body)
        frozen = self._credentials.get_frozen_credentials()
        SigV4Auth(frozen, _SERVICE, self._region).add_auth(request)
        return b"".join(
            b"%b: %b\r\n" % (name.lower().encode("ascii"), value.encode("ascii"))
            for name, value in request.headers.items()
        )


def aws_signer(
    name: str, region: str, profile: str | None, environment: Mapping[str, str]
) -> AwsSigner:
    """A provider's signer: with its profile's credentials, else the environment's, else as AWS's own tools find them.

    Raises ConfigError when there are none.
    """
    where = f"providers.{name}"
    if profile is None and environment.get(_KEY_ID) and environment.get(_SECRET):
        static = Credentials(environment[_KEY_ID], environment[_SECRET], environment.get(_TOKEN))
        return AwsSigner(static, region)
    try:
        found = cast(Any, Session(profile=profile)).get_credentials()
    except BotoCoreError as exc:
        raise ConfigError(f"no AWS credentials: {exc}", field=f"{where}.profile") from exc
    if found is None:
        raise ConfigError(
            f"no AWS credentials for region {region}; set {_KEY_ID} and {_SECRET}, a profile, "
            "or AWS_BEARER_TOKEN_BEDROCK",
            field=where,
        )
    return AwsSigner(found, region)
