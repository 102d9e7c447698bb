"""What can go wrong on the model's side, as a table of classes.

With a ``BackendUnavailableError`` nothing is reachable, and the question can be held and asked again. A
subclass differs from its base in the advice for the operator, or in what is done after it.

No sentence holds an address or a word from upstream. The texts that lead to each class stand in
``bot.lmstudio.failures``.
"""

from __future__ import annotations

import logging

from bot.core.errors import BackendError


class BackendUnavailableError(BackendError):
    """No server can be reached; the question can be held until one is back."""

    user_text = "The model's machine doesn't answer right now. Please try again in a few minutes."
    admin_hint = "Check that the machine is on and that LM Studio's server is started."


class ServerRefusedError(BackendUnavailableError):
    """The connection was refused: nothing listens at that port."""

    admin_hint = (
        "Start the server in LM Studio (Developer tab, or lms server start), compare the port with "
        "LMSTUDIO_BASE_URL, and switch on “Serve on Local Network” if the bot runs on another "
        "machine."
    )


class ConnectTimedOutError(BackendUnavailableError):
    """The connection wasn't answered: the machine is off, or a firewall drops it."""

    admin_hint = (
        "Wake the machine, allow LM Studio in its firewall for private networks, and check that its "
        "address hasn't changed."
    )


class SilentServerError(ConnectTimedOutError):
    """The connection was taken, but no whole reply came over it in time."""

    admin_hint = "Restart the server in LM Studio; if the machine is overloaded, give it a moment."


class HostNotFoundError(BackendUnavailableError):
    """The server's name doesn't resolve."""

    admin_hint = (
        "Check the spelling in LMSTUDIO_BASE_URL, or write the machine's IP address instead of its "
        "name."
    )


class StillLoadingError(BackendUnavailableError):
    """The server is up, but takes no question until it has loaded its model."""

    user_text = "The model is still being loaded. Please try again in a few minutes."
    admin_hint = "Wait until the model is loaded; the server's own log shows how far it is."


class TlsError(BackendError):
    """TLS and plain HTTP don't match, or the handshake failed."""

    user_text = "I can't talk to the model's machine: its address is set up wrongly."
    admin_hint = (
        "LM Studio itself speaks plain HTTP: use https in LMSTUDIO_BASE_URL only with a TLS proxy "
        "before it, and http only where there is none."
    )
    can_retry = False
    log_level = logging.ERROR


class CertificateError(TlsError):
    """The server's certificate isn't trusted, or isn't the pinned one."""

    user_text = "I don't trust the certificate of the model's machine, so I sent nothing."
    admin_hint = (
        "Give its CA with CLAWBOT_LMSTUDIO__CA_FILE, or its fingerprint with "
        "CLAWBOT_LMSTUDIO__CERTIFICATE_SHA256."
    )


class CertificateExpiredError(CertificateError):
    """The certificate is past its last day, or before its first."""

    admin_hint = (
        "Renew the certificate of the TLS proxy before LM Studio; if it is a new one, set the clocks "
        "of both machines right."
    )


class CertificateNameError(CertificateError):
    """The certificate is trusted, but made for another name or address."""

    admin_hint = (
        "Write the name that the certificate is made for into LMSTUDIO_BASE_URL, or make a "
        "certificate for this one."
    )


class FingerprintError(CertificateError):
    """The certificate isn't the one whose fingerprint is configured."""

    admin_hint = (
        "If the certificate was renewed, put its new fingerprint into "
        "CLAWBOT_LMSTUDIO__CERTIFICATE_SHA256; if not, find out what answers there."
    )


class AddressRefusedError(BackendError):
    """The server's name now leads somewhere else than where it led first."""

    user_text = "The model's machine has moved to an address I don't trust, so I sent nothing."
    admin_hint = "The host name resolves to a new kind of address; if that is right, restart me."
    can_retry = False
    log_level = logging.ERROR


class AuthenticationError(BackendError):
    """401: the token is missing or wrong. The response's body is never kept: it echoes the token."""

    user_text = "The model's machine refuses my access token. Whoever runs me has to set a new one."
    admin_hint = "Create an API token in LM Studio's server settings and set LMSTUDIO_API_TOKEN."
    can_retry = False
    log_level = logging.ERROR


class PermissionDeniedError(BackendError):
    """403: the token lacks a permission."""

    user_text = "My access token isn't allowed to do that on the model's machine."
    admin_hint = "Give the token this permission in LM Studio's server settings."
    can_retry = False
    log_level = logging.ERROR


class NoModelError(BackendError):
    """No model is loaded and none could be chosen."""

    user_text = "No model is loaded on the model's machine. An admin can load one with /model load."
    admin_hint = (
        "Load a model in LM Studio, or set LMSTUDIO_MODEL and switch on just-in-time loading."
    )


class ModelNotFoundError(BackendError):
    """The model's name is unknown there, ambiguous, or names an embedding model."""

    user_text = "The model I'm set to use isn't on the model's machine. See /model list."
    admin_hint = "Choose a downloaded chat model with /model use, or set LMSTUDIO_MODEL."
    can_retry = False
    log_level = logging.ERROR


class NothingToUnloadError(ModelNotFoundError):
    """A model that shall be unloaded isn't loaded."""

    user_text = "That model isn't in the machine's memory. /model list shows which are."
    log_level = logging.INFO


class AmbiguousModelError(ModelNotFoundError):
    """Several models have nearly the name that is set, and not just one of them is loaded.

    Attributes:
        names: Theirs, as people may see them.
    """

    user_text = "Several models have nearly the name that I'm set to use. See /model list."
    admin_hint = "Choose one by its whole name with /model use, or set LMSTUDIO_MODEL to it."
    _MOST_NAMES = 4

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        super().__init__(f"{len(names)} models fit the name")
        self.names = names

    @property
    def sentence(self) -> str:
        """The sentence, with the first of these models."""
        listed = ", ".join(f"`{name}`" for name in self.names[: self._MOST_NAMES])
        more = ", …" if len(self.names) > self._MOST_NAMES else ""
        return (
            f"Several models have nearly the name that I'm set to use: {listed}{more}. An admin can "
            "choose one with /model use."
        )


class ModelUnloadedError(BackendError):
    """The model was unloaded, evicted or reloaded under the request."""

    user_text = "The model was just unloaded. Please try again in a moment."
    admin_hint = (
        "Another client's model may push this one out: see just-in-time loading and auto-evict."
    )


class NotInMemoryError(BackendError):
    """The model isn't loaded, and whoever asks must not have it loaded."""

    user_text = (
        "The model chosen here isn't in memory any more, and only whoever runs me may load it. "
        "Someone who manages this server can choose another with /model use."
    )
    admin_hint = "Load it with /model load, or let this server load it with /model allow."
    can_retry = False


class LoadFailedError(BackendError):
    """The model can't be loaded: guardrail, memory, driver."""

    user_text = (
        "The model can't be loaded on its machine at the moment. I'll pause it for a minute; "
        "an admin can choose a smaller model with /model use."
    )
    admin_hint = (
        "Free memory there, use a smaller model, quantisation or context length, or adjust LM "
        "Studio's guardrails; if it fails always, update the runtime or the graphics driver."
    )
    log_level = logging.ERROR


class OptionRefusedError(LoadFailedError):
    """The server refuses an option of a load.

    Attributes:
        fields: Their names.
    """

    user_text = "The model's server doesn't take one of these options. Leave it out, or set it in LM Studio."
    admin_hint = "Update LM Studio, or set the option there for this model."

    def __init__(self, fields: tuple[str, ...] = ()) -> None:
        super().__init__(f"refused options: {', '.join(fields) or 'not named'}")
        self.fields = fields

    @property
    def sentence(self) -> str:
        """The sentence with the options' names."""
        named = ", ".join(name.removeprefix("offload_") for name in self.fields)
        return (
            self.user_text
            if not named
            else (f"The model's server doesn't take {named}. Leave it out, or set it in LM Studio.")
        )


class OwnersRequestError(BackendError):
    """What an owner asked of a server can't be done; the message is the sentence for them."""

    can_retry = False

    @property
    def sentence(self) -> str:
        """The message given where it was raised."""
        return str(self) or self.user_text


class DownloadError(OwnersRequestError):
    """The server can't download a model."""

    user_text = "LM Studio couldn't download that. See its log."
    admin_hint = "Look at LM Studio's log, its disk and its connection."


class OutOfMemoryError(LoadFailedError):
    """The machine ran out of memory while loading or computing."""

    user_text = (
        "The model's machine has too little memory for this. Please try again in a minute or with a "
        "shorter question."
    )


class ModelCrashedError(BackendError):
    """The model's process died, and every answer in flight with it."""

    user_text = "The model crashed while working on this. Please try again in a moment."
    admin_hint = "See LM Studio's log; a smaller context or fewer parallel predictions may help."


class ComputeError(BackendError):
    """The engine failed while computing, or its graphics device was lost."""

    user_text = "The model had a fault while computing the answer. Please try again."
    admin_hint = "If it goes on, reload the model; a lost graphics device needs a reload."


class OutputParserError(BackendError):
    """The server couldn't parse what its own model wrote; tends to recur for the same prompt."""

    user_text = (
        "The model wrote something its server couldn't read. Rephrasing the question may help."
    )
    admin_hint = "LM Studio's parser for this model failed; update the runtime."


class ChannelError(BackendError):
    """LM Studio's generic wrapper for a broken link to its engine."""

    user_text = "The model's engine broke off. Please try again in a moment."
    admin_hint = "Load the model again; if that recurs, update its runtime in LM Studio."


class ServerFaultError(BackendError):
    """5xx, an HTML page or an empty body.

    Attributes:
        status: The HTTP status.
    """

    user_text = "The model's server had a fault of its own. Please try again in a moment."
    admin_hint = (
        "Look at LM Studio's server log. A proxy before LM Studio has to reach it, and needs long "
        "timeouts and no buffering."
    )

    def __init__(self, status: int = 500) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status


class BusyError(BackendError):
    """429: the server asks to come back later.

    Attributes:
        retry_after_s: Seconds, where the server said so; bounded by the retry policy.
    """

    user_text = "The model's machine is too busy right now. Please try again in a minute."
    admin_hint = "See what else uses the machine, and whether a proxy before it limits requests."

    def __init__(self, retry_after_s: float | None = None) -> None:
        super().__init__("busy")
        self.retry_after_s = retry_after_s


class ContextOverflowError(BackendError):
    """The prompt is longer than the model's context.

    Attributes:
        limit_tokens: The context length that the server named, where it did.
        prompt_tokens: The prompt's length that the server counted, where it did.
    """

    user_text = "This is too long for the model. Please ask with less text."
    admin_hint = "Load the model with a larger context length."
    can_retry = False

    def __init__(self, limit_tokens: int | None = None, prompt_tokens: int | None = None) -> None:
        super().__init__(f"context overflow ({prompt_tokens} of {limit_tokens} tokens)")
        self.limit_tokens = limit_tokens
        self.prompt_tokens = prompt_tokens

    @property
    def sentence(self) -> str:
        """The sentence, with the limit where it is known."""
        if self.limit_tokens is None:
            return self.user_text
        return (
            f"This is too long for the model, which can read {self.limit_tokens:,} tokens at once. "
            "Please ask with less text."
        )


class PoolFullError(BackendError):
    """The context that all running answers share is used up; alone, this one may fit."""

    user_text = "Too much is being answered at once for the model's memory. Please try again."
    admin_hint = "Lower the slots, or load the model with a larger context length."


class TemplateError(BackendError):
    """The model's prompt template refuses the conversation's form."""

    user_text = "The model can't take this conversation as it is. Starting afresh may help."
    admin_hint = "The model's prompt template failed; update the model or choose another."
    can_retry = False


class ImagesRefusedError(BackendError):
    """The model can't see images, or not this one."""

    user_text = "The model can't look at this image."
    admin_hint = "Choose a model with vision for images."
    can_retry = False


class BadImageError(ImagesRefusedError):
    """This image can't be read there; others may."""


class InvalidRequestError(BackendError):
    """The server refuses a field of the request.

    Attributes:
        fields: Names of our own fields that the refusal mentions.
    """

    user_text = "The model's server didn't accept my request."
    admin_hint = "LM Studio may be too old for a setting in use, such as reasoning."
    can_retry = False
    log_level = logging.ERROR

    def __init__(self, fields: tuple[str, ...] = ()) -> None:
        super().__init__(f"refused fields: {', '.join(fields) or 'not named'}")
        self.fields = fields


class PayloadTooLargeError(BackendError):
    """413, usually by a proxy before the server."""

    user_text = "That was too much at once for the model's server. Please send less."
    admin_hint = "A proxy before LM Studio limits the size of requests (client_max_body_size)."
    can_retry = False


class WrongEndpointError(BackendError):
    """The address answers, but not as LM Studio at this path."""

    user_text = "Something answers at the model's address, but it isn't set up as I need it."
    admin_hint = (
        "LMSTUDIO_BASE_URL should be the server's host and port, with nothing after it or /v1."
    )
    can_retry = False
    log_level = logging.ERROR


class RedirectError(WrongEndpointError):
    """A redirect, which is never followed: it could carry the prompt elsewhere."""

    admin_hint = "The address redirects; set LMSTUDIO_BASE_URL to where it leads, if you trust it."


class EmptyAnswerError(BackendError):
    """The model ended without a word, be it of answer or of thinking.

    Attributes:
        hit_length: It used up all the tokens it was given.
    """

    user_text = "The model ended without an answer. Please try again."
    admin_hint = "Load the model again in LM Studio; if that doesn't help, choose another one."

    def __init__(self, *, hit_length: bool = False) -> None:
        super().__init__(f"empty answer (length: {hit_length})")
        self.hit_length = hit_length


class TruncatedStreamError(BackendError):
    """The stream ended without an end mark."""

    user_text = "The connection to the model broke off. Please try again."
    admin_hint = "Look at LM Studio's server log, and at the network and any proxy between."


class BadResponseError(BackendError):
    """What came isn't what the protocol allows: malformed, too large, or encoded."""

    user_text = "The model's server sent something I can't read. Please try again."
    admin_hint = "Is this address really LM Studio's? A proxy must not change replies."


class CompressedReplyError(BadResponseError):
    """A compressed response, which may unfold to gigabytes; none was asked for."""

    admin_hint = "Switch off compression (gzip) in the proxy before LM Studio."


class NotHttpError(BadResponseError):
    """Something else than HTTP came."""

    admin_hint = (
        "Compare the port with the one LM Studio shows; if a TLS proxy stands there, let "
        "LMSTUDIO_BASE_URL begin with https."
    )


class OversizedReplyError(BadResponseError):
    """A reply that isn't a stream is larger than any should be."""

    admin_hint = "Compare the port with the one LM Studio shows: that may not be LM Studio."


class DisconnectedError(BackendError):
    """The server closed the connection before its first byte."""

    user_text = "The model's machine hung up on me. Please try again."
    admin_hint = "Compare the port with the one LM Studio shows, and restart its server."


class FirstTokenTimeoutError(BackendError):
    """No first token within the limit, and the server stopped answering probes."""

    user_text = "The model didn't start to answer in time. Please try again later."
    admin_hint = "The server takes connections but gives no tokens; reload the model."


class StalledError(BackendError):
    """The answer stopped coming for longer than the network timeout."""

    user_text = "The model stopped in the middle of its answer. Please try again."
    admin_hint = "If this happens under load, raise network_timeout."


class TotalTimeoutError(BackendError):
    """The hard cap of one answer was reached."""

    user_text = "This took longer than I may wait, so I stopped. A shorter question may help."
    admin_hint = "See the settings total_timeout_s and max_tokens."
