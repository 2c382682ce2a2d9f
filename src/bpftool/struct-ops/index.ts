// `struct_ops`: kernel structures whose functions are programs.

import type { Arguments } from '../arguments.js';
import type { CommandTable, Tool } from '../tool.js';
import { FAILED, ToolError } from '../tool-error.js';
import { helpCommand, SPEC_OPTIONS, usageText } from '../usage.js';
import { dump } from './dump.js';
import { eachStructOps, KernelTypes, takeSelection } from './maps.js';
import { register, unregister } from './register.js';

async function show(tool: Tool, args: Arguments): Promise<number | undefined> {
  const selection = takeSelection(args, false);
  const bpf = await tool.bpf;
  const types = new KernelTypes(tool);
  tool.json?.startArray();
  const count = await eachStructOps(bpf, selection, async ({ info }) => {
    const { id, name } = info;
    const struct = await types.structOf(info);
    if (tool.json) tool.json.value({ id, name, kernel_struct_ops: struct });
    else tool.print(`${id}: ${name.padEnd(15)} ${struct.padEnd(32)}\n`);
  });
  tool.json?.endArray();
  if (selection === undefined || count > 0) return undefined;
  // In JSON the empty array says it.
  if (tool.json || !('name' in selection)) return FAILED;
  throw new ToolError(`no struct_ops found for ${selection.name}`);
}

export const structOpsCommands: CommandTable = {
  commands: [
    { name: 'show', run: show },
    { name: 'list', run: show },
    { name: 'register', run: register },
    { name: 'unregister', run: unregister },
    { name: 'dump', run: dump },
    helpCommand,
  ],
  usage: usageText([
    '% struct_ops { show | list } [STRUCT_OPS_MAP]',
    '% struct_ops dump [STRUCT_OPS_MAP]',
    '% struct_ops register OBJ [LINK_DIR]',
    '% struct_ops unregister STRUCT_OPS_MAP',
    '% struct_ops help',
    '',
    'STRUCT_OPS_MAP := [ id STRUCT_OPS_MAP_ID | name STRUCT_OPS_MAP_NAME ]',
    `${SPEC_OPTIONS} }`,
  ]),
};
