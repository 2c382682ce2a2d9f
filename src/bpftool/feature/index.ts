// The commands of `feature`: what a kernel can do, and which words this tool knows.

import { helperNames } from '../../bpf/helpers.js';
import {
  AttachType,
  attachTypeName,
  LinkType,
  linkTypeName,
  MapType,
  mapTypeName,
  ProgType,
  progTypeName,
} from '../../bpf/types.js';
import type { CommandTable } from '../tool.js';
import { ToolError, UsageRequest } from '../tool-error.js';
import { helpCommand, SPEC_OPTIONS, usageText } from '../usage.js';

const namesOf = (
  table: Readonly<Record<string, number>>,
  nameOf: (type: number) => string | undefined,
): string[] => Object.values(table).map((type) => nameOf(type) ?? '');

const BUILTINS: readonly { group: string; names: () => string[] }[] = [
  { group: 'prog_types', names: () => namesOf(ProgType, progTypeName) },
  { group: 'map_types', names: () => namesOf(MapType, mapTypeName) },
  { group: 'attach_types', names: () => namesOf(AttachType, attachTypeName) },
  { group: 'link_types', names: () => namesOf(LinkType, linkTypeName) },
  { group: 'helpers', names: () => helperNames.map((name) => `bpf_${name}`) },
];

export const featureCommands: CommandTable = {
  commands: [
    {
      name: 'probe',
      run: async (tool, args) => {
        await (await import('./probe.js')).probeFeatures(tool, args);
        return 0;
      },
    },
    {
      name: 'list_builtins',
      run: async (tool, args) => {
        if (args.left === 0) throw new UsageRequest();
        const builtins = BUILTINS.find(({ group }) => args.is(group));
        if (builtins === undefined) {
          throw new ToolError(
            `expected 'prog_types', 'map_types', 'attach_types', 'link_types' or 'helpers', got: ${args.peek}`,
          );
        }
        const names = builtins.names();
        if (tool.json) tool.json.value(names);
        else tool.print(names.map((name) => `${name}\n`).join(''));
        return 0;
      },
    },
    helpCommand,
  ],
  usage: usageText([
    '% feature probe [COMPONENT] [full] [unprivileged] [macros [prefix PREFIX]]',
    '% feature list_builtins GROUP',
    '% feature help',
    '',
    'COMPONENT := { kernel | dev NAME }',
    'GROUP := { prog_types | map_types | attach_types | link_types | helpers }',
    `${SPEC_OPTIONS} }`,
  ]),
};
