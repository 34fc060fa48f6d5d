"""A `.campus` file uploaded to the field app as a browser does it, by a client of its protocol."""

from __future__ import annotations

import asyncio
import http.client
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from benchmarks.app_load import Phone

_NAME = "stranger.campus"


@dataclass
class Visitor(Phone):
    """A page on which campuses are uploaded. `async with Visitor(…)` opens it, then `to_campus` turns to that page."""

    _session: str = field(default="", init=False)
    _ids: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _pages: list[str] = field(default_factory=list, init=False, repr=False)

    def heard(self, told: Any) -> None:
        """Keep what a browser keeps of the page: its session, and the widgets' names."""
        if told.WhichOneof("type") == "new_session":
            self._session = told.new_session.initialize.session_id
        element = told.delta.new_element
        if (part := element.WhichOneof("type")) in ("file_uploader", "button_group"):
            self._ids[part] = getattr(element, part).id
        if part == "button_group":
            self._pages = [f"{page.content_icon} {page.content}" for page in element.button_group.options]

    async def to_campus(self) -> None:
        """Turn to the page of campuses."""
        await self._run(self._with_widgets())

    async def upload(self, campus: bytes) -> tuple[float, str]:
        """Upload a campus; seconds until the page says what became of it, and what it says."""
        from streamlit.proto.BackMsg_pb2 import BackMsg
        from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

        started = time.perf_counter()
        asked = BackMsg()
        asked.file_urls_request.request_id = "stranger"
        asked.file_urls_request.session_id = self._session
        asked.file_urls_request.file_names.append(_NAME)
        await self._wire.send(asked.SerializeToString())
        told = ForwardMsg()
        while told.WhichOneof("type") != "file_urls_response":
            told = ForwardMsg.FromString(await self._wire.recv())
        [urls] = told.file_urls_response.file_urls
        await asyncio.to_thread(self._put, urls.upload_url, campus)
        texts = await self._run(self._with_widgets(urls, len(campus)))
        while not texts["alert"] and not texts["exception"]:  # the run that takes the file in asks for another
            texts = await self._whole()
        return time.perf_counter() - started, texts["alert"] or texts["exception"]

    def _with_widgets(self, urls: Any = None, size: int = 0) -> bytes:
        """The message that asks for a run on the page of campuses, with an uploaded file where there is one."""
        from streamlit.proto.BackMsg_pb2 import BackMsg

        asked = BackMsg.FromString(self._asking({}))
        widgets = asked.rerun_script.widget_states.widgets
        widgets.add(id=self._ids["button_group"]).string_array_value.data.append(self._pages[-1])
        if urls is not None:
            state = widgets.add(id=self._ids["file_uploader"]).file_uploader_state_value
            state.uploaded_file_info.add(file_id=urls.file_id, name=_NAME, size=size, file_urls=urls)
        message: bytes = asked.SerializeToString()
        return message

    def _put(self, path: str, campus: bytes) -> None:
        """Send the file as the page's form does."""
        host, _, port = self.url.removeprefix("https://").partition(":")
        with closing(http.client.HTTPSConnection(host, int(port), timeout=60, context=self.trust)) as connection:
            connection.request("GET", "/_stcore/health", headers={"Cookie": self.cookie})
            answer = connection.getresponse()
            answer.read()
            token = next(
                each.partition(";")[0] for each in answer.headers.get_all("Set-Cookie", []) if "xsrf" in each.lower()
            )
            head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="stranger.campus"\r\n\r\n'
            connection.request(
                "PUT", path, head + campus + b"\r\n--edge--\r\n",
                {
                    "Cookie": f"{self.cookie}; {token}", "X-Xsrftoken": token.partition("=")[2],
                    "Content-Type": "multipart/form-data; boundary=edge",
                },
            )  # fmt: skip
            answer = connection.getresponse()
            if answer.status >= 300:
                raise RuntimeError(f"{answer.status}: {answer.read()[:200]!r}")
