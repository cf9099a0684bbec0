"""FastMCP's client as an agent of the stateless era that takes tasks: it calls a tool, follows the task, and answers what it is asked meanwhile.

python tasks.py URL KEY TOOL ARGUMENTS  -> one line of JSON: {ids, statuses, asked, result} or {error}
"""

import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp_tasks import call_tool_task

url, key, tool, arguments = sys.argv[1:]
out = {"ids": [], "statuses": [], "asked": []}


async def asked(message, response_type, params, context):
    out["asked"].append(message)
    return {"confirmed": True}


async def main():
    async with Client(StreamableHttpTransport(url, auth=key), elicitation_handler=asked) as client:
        task = await call_tool_task(client, tool, json.loads(arguments), raise_on_error=False)
        out["ids"].append(task.task_id)
        out["statuses"].append((await task.status()).status)
        result = await task.result()
        out["statuses"].append((await task.status()).status)
        out["result"] = {"content": [c.model_dump(exclude_none=True) for c in result.content], "isError": result.is_error}


try:
    asyncio.run(main())
except Exception as e:  # for the test to read
    out["error"] = f"{type(e).__name__}: {e}"
print(json.dumps(out))
