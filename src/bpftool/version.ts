// `version`: which grammar is spoken, and what is there to speak it with.

import type { CommandDefinition } from './tool.js';

/** The libbpf whose rules the loader follows. */
const LIBBPF_VERSION = '1.8';

/** In the order in which they are listed. Machine code is disassembled by what made it, so there is no libbfd. */
const FEATURES = { libbfd: false, llvm: true, crypto: true, skeletons: true, bootstrap: false };

export const versionCommand: CommandDefinition = {
  name: 'version',
  async run(tool) {
    const { name, version } = tool.host;
    if (tool.json) {
      tool.json.value({ version, libbpf_version: LIBBPF_VERSION, features: FEATURES });
      return;
    }
    const present = Object.entries(FEATURES).filter(([, there]) => there);
    tool.print(`${name} v${version}\nusing libbpf v${LIBBPF_VERSION}\n`);
    tool.print(`features: ${present.map(([feature]) => feature).join(', ')}\n`);
  },
};
