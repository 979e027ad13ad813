"""Input items and request fields of every kind and odd form, for tests that try each of them."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ITEMS: list[Json] = [
    {"role": "user", "content": "bare"},
    {"type": "message", "role": "developer", "content": ""},
    {"role": "assistant", "content": [{"type": "input_text", "text": "odd type"}]},
    {
        "type": "message",
        "role": "assistant",
        "id": "msg_1",
        "status": "completed",
        "phase": "final_answer",
        "content": [
            {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
            {"type": "refusal", "refusal": "no"},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "input_image", "image_url": None, "file_id": "file_1"},
            {"type": "input_file", "file_url": "https://x/y.pdf"},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": "data:application/pdf;base64,QUJD",
            },
            {"type": "input_file", "file_data": "QUJD", "file_id": None},
        ],
    },
    {
        "role": "user",
        "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}],
    },
    {"role": "user", "content": [{"type": "computer_screenshot", "image_url": "https://x"}]},
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}
        ],
    },
    {"role": "user", "content": []},
    {"role": "assistant", "content": None},
    {"role": "critic", "content": "unknown role"},
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {
        "type": "reasoning",
        "summary": [
            {"type": "summary_text", "text": "one"},
            {"type": "summary_text", "text": "two"},
        ],
        "content": None,
        "encrypted_content": "gAAA",
    },
    {
        "type": "reasoning",
        "id": "rs_2",
        "summary": [],
        "content": [
            {"type": "reasoning_text", "text": "open"},
            {"type": "reasoning_text", "text": "model"},
        ],
        "status": "completed",
    },
    {
        "type": "function_call",
        "call_id": "c1",
        "name": "f",
        "arguments": "",
        "id": "fc_1",
        "status": "completed",
    },
    {
        "type": "function_call",
        "call_id": "c1",
        "name": "f",
        "arguments": "{}",
        "namespace": "crm",
        "id": None,
    },
    {"type": "function_call_output", "call_id": "c1", "output": "", "id": "fco_1"},
    {
        "type": "function_call_output",
        "call_id": "c1",
        "output": [
            {"type": "input_text", "text": "a"},
            {"type": "input_image", "image_url": "https://x"},
        ],
    },
    {"type": "function_call_output", "call_id": "c1", "output": None},
    {
        "type": "custom_tool_call",
        "call_id": "c2",
        "name": "exec",
        "input": "text(1)",
        "id": "ctc_1",
    },
    {
        "type": "custom_tool_call_output",
        "call_id": "c2",
        "output": [{"type": "input_text", "text": "a"}],
    },
    {
        "type": "tool_search_call",
        "call_id": "c3",
        "execution": "client",
        "arguments": {"query": "x", "limit": 8},
        "status": "completed",
    },
    {
        "type": "tool_search_call",
        "call_id": "c3",
        "execution": "client",
        "arguments": "text",
        "id": "tsc_1",
    },
    {
        "type": "tool_search_call",
        "call_id": None,
        "execution": "server",
        "arguments": {"paths": ["x"]},
    },
    {
        "type": "tool_search_output",
        "call_id": "c3",
        "execution": "client",
        "status": "completed",
        "tools": [{"type": "function", "name": "found", "parameters": None}],
    },
    {"type": "tool_search_output", "call_id": "c3", "execution": "client", "tools": []},
    {
        "type": "additional_tools",
        "id": "at_1",
        "role": "developer",
        "tools": [
            {
                "type": "namespace",
                "name": "functions",
                "description": "",
                "tools": [{"type": "custom", "name": "exec"}],
            }
        ],
    },
    {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "q"},
    },
    {
        "type": "file_search_call",
        "id": "fs_1",
        "queries": ["q"],
        "results": None,
        "status": "completed",
    },
    {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "code": "1",
        "container_id": "x",
        "outputs": None,
        "status": "completed",
    },
    {"type": "image_generation_call", "id": "ig_1"},
    {
        "type": "computer_call",
        "id": "cu_1",
        "call_id": "c",
        "action": {"type": "click"},
        "pending_safety_checks": [],
        "status": "completed",
    },
    {
        "type": "computer_call_output",
        "call_id": "c",
        "output": {"type": "computer_screenshot", "image_url": "https://x"},
    },
    {
        "type": "local_shell_call",
        "id": "ls_1",
        "call_id": "c",
        "action": {"type": "exec", "command": ["ls"], "env": {}},
        "status": "completed",
    },
    {"type": "mcp_list_tools", "id": "m", "server_label": "s", "tools": []},
    {
        "type": "mcp_call",
        "id": "m",
        "name": "n",
        "server_label": "s",
        "arguments": "{}",
        "output": None,
        "error": None,
    },
    {
        "type": "mcp_approval_request",
        "id": "m",
        "name": "n",
        "server_label": "s",
        "arguments": "{}",
    },
    {"type": "mcp_approval_response", "approval_request_id": "m", "approve": True},
    {"type": "item_reference", "id": "msg_1"},
    {"id": "msg_1"},
    {"type": None, "role": "user", "content": "null type"},
    {"type": "compaction", "encrypted_content": "gAAA"},
    {"type": "compaction_trigger"},
    {"type": "from_the_future", "anything": {"goes": [1, 2.5, None]}},
]


FIELDS: list[Json] = [
    {"input": "text"},
    {"input": ""},
    {"input": []},
    {"input": None},
    {},
    {"instructions": None},
    {"instructions": ""},
    {"tools": None},
    {"tools": []},
    {
        "tools": [
            {
                "type": "function",
                "name": "f",
                "parameters": None,
                "strict": True,
                "description": None,
            }
        ]
    },
    {"tools": [{"type": "function", "name": "f", "parameters": {}, "defer_loading": True}]},
    {
        "tools": [
            {
                "type": "custom",
                "name": "c",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"},
            }
        ]
    },
    {
        "tools": [
            {
                "type": "tool_search",
                "execution": "client",
                "description": "d",
                "parameters": {"type": "object"},
            }
        ]
    },
    {"tools": [{"type": "tool_search", "execution": "client", "description": None}]},
    {
        "tools": [
            {"type": "tool_search"},
            {"type": "web_search", "filters": {}},
            {"type": "mcp", "server_label": "x"},
        ]
    },
    {"tool_choice": "auto"},
    {"tool_choice": "required"},
    {"tool_choice": None},
    {"tool_choice": {"type": "function", "name": "f"}},
    {"tool_choice": {"type": "custom", "name": "f", "more": 1}},
    {"tool_choice": {"type": "web_search_preview"}},
    {"tool_choice": {"type": "mcp", "server_label": "s", "name": "n"}},
    {
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "f"}],
        }
    },
    {"reasoning": {}},
    {"reasoning": None},
    {"reasoning": {"effort": None, "summary": "auto", "context": "all_turns"}},
    {"text": {}},
    {"text": {"verbosity": "low"}},
    {"text": {"format": {"type": "text"}, "verbosity": "low"}},
    {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": None}}},
    {"text": {"format": {"type": "grammar", "definition": "x"}}},
    {"max_output_tokens": None, "temperature": 0, "top_p": 0.5, "stream": False, "store": None},
    {
        "metadata": {},
        "user": "",
        "service_tier": None,
        "prompt_cache_key": "k",
        "parallel_tool_calls": False,
    },
    {
        "include": [],
        "truncation": "auto",
        "background": True,
        "conversation": {"id": "c"},
        "client_metadata": {},
    },
    {
        "previous_response_id": "resp_1",
        "prompt": {"id": "pmpt_1"},
        "stream_options": {"include_obfuscation": False},
    },
]
