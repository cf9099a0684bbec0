"""A server that answers calls with tasks, by FastMCP, with the tools that the conformance suite's scenarios of tasks name.

python jobs.py PORT
"""

import asyncio
import sys
from datetime import timedelta

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.utilities.tasks import TaskConfig
from fastmcp_tasks import TasksExtension
from mcp.shared.exceptions import MCPError
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult

mcp = FastMCP("jobs")
mcp.add_extension(TasksExtension(url="memory://"))
often = timedelta(milliseconds=200)
may, must = TaskConfig(mode="optional", poll_interval=often), TaskConfig(mode="required", poll_interval=often)


def ask(*names: str) -> InputRequiredResult:
    schema = {"type": "object", "properties": {"confirmed": {"type": "boolean"}}}
    params = {n: ElicitRequestFormParams(message=f"Is {n} right?", requested_schema=schema) for n in names}
    return InputRequiredResult(input_requests={n: ElicitRequest(params=p) for n, p in params.items()})


@mcp.tool
def greet(name: str) -> str:
    return f"Hello, {name}!"


@mcp.tool(task=may)
async def slow_compute(seconds: float, label: str = "") -> str:
    await asyncio.sleep(seconds)
    return f"{label} took {seconds} s"


@mcp.tool(task=must)
async def failing_job() -> str:
    raise ToolError("it failed")


@mcp.tool(task=may)
async def protocol_error_job() -> str:
    raise MCPError(code=-32603, message="it broke")


@mcp.tool(task=may, output_schema=None)
async def confirm_delete(ctx: Context, filename: str):
    if not ctx.input_responses:
        return ask("confirm")
    return f"{filename}: {ctx.input_responses['confirm'].action}"


@mcp.tool(task=may, output_schema=None)
async def multi_input(ctx: Context):
    if not ctx.input_responses:
        return ask("one", "two")
    return " ".join(sorted(ctx.input_responses))


mcp.run(transport="http", host="127.0.0.1", port=int(sys.argv[1]), show_banner=False)
