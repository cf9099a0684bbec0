"""The official Python SDK as an agent, in the era that MODE names: lists the persona's tools, calls one, tries one outside it.

python sdk.py URL KEY TOOL ARGUMENTS OUTSIDE MODE  -> one line of JSON
"""
import json
import sys

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from report import report

url, key, tool, args, outside, mode = sys.argv[1:]


async def main(out):
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            out["version"] = client.protocol_version
            out["tools"] = [t.name for t in (await client.list_tools()).tools]
            out["result"] = (await client.call_tool(tool, json.loads(args))).model_dump(mode="json", exclude_none=True)
            try:
                out["outside"] = str(await client.call_tool(outside, {}))
            except Exception as e:
                out["outside"] = str(e)


report(main)
