"""The OpenAI Agents SDK's MCP adapter as an agent: lists the persona's tools as the framework gives them to a model, calls one,
tries one outside it.

python framework.py URL KEY TOOL ARGUMENTS OUTSIDE  -> one line of JSON
"""
import json
import sys

from agents import Agent, RunContextWrapper
from agents.mcp import MCPServerStreamableHttp

from report import report

url, key, tool, args, outside = sys.argv[1:]


async def main(out):
    server = MCPServerStreamableHttp({"url": url, "headers": {"Authorization": f"Bearer {key}"}, "timeout": 60},
                                     client_session_timeout_seconds=60)
    async with server:
        agent = Agent(name="e2e", mcp_servers=[server])
        out["tools"] = [t.name for t in await agent.get_mcp_tools(RunContextWrapper(None))]
        out["result"] = (await server.call_tool(tool, json.loads(args))).model_dump(mode="json", exclude_none=True)
        try:
            out["outside"] = str(await server.call_tool(outside, {}))
        except Exception as e:
            out["outside"] = str(e)


report(main)
