// `map dump`: every element of one map or, when several have the name, of all these.

import type { Fd, MapInfo } from '../../bpf/bpf.js';
import { BpfError } from '../../bpf/errno.js';
import { MapFlag, MapType, mapTypeName } from '../../bpf/types.js';
import type { Arguments } from '../arguments.js';
import type { JsonWriter } from '../json-writer.js';
import { kernelError, takeMaps, withFds } from '../objects.js';
import type { Tool } from '../tool.js';
import { statusOfErrno, UsageRequest } from '../tool-error.js';
import { elements } from './elements.js';
import { EntryPrinter, plainWriter } from './entry.js';
import { headerJson, headerText } from './show.js';
import { entryTypes } from './value-types.js';

export async function dumpMaps(tool: Tool, args: Arguments): Promise<number> {
  if (args.left !== 2) throw new UsageRequest();
  const bpf = await tool.bpf;
  const maps = await takeMaps(tool, args, MapFlag.Rdonly);
  return withFds(bpf, maps, async () => {
    const infos: MapInfo[] = [];
    for (const map of maps) {
      infos.push(
        await bpf.mapInfo(map).catch((error: unknown) => {
          throw kernelError(error, "can't get map info");
        }),
      );
    }
    // Text is either all as the types say or all columns of bytes.
    const typed = infos.every(
      ({ btfValueTypeId, btfVmlinuxValueTypeId }) => btfValueTypeId || btfVmlinuxValueTypeId,
    );
    const json = tool.json ?? (typed ? plainWriter(tool) : undefined);
    const several = maps.length > 1;
    if (several) json?.startArray();
    let status = 0;
    for (const [at, map] of maps.entries()) {
      if (at > 0 && !json) tool.print('\n');
      status = await dumpMap(tool, map, infos[at] as MapInfo, json, several);
      if (status !== 0) break;
    }
    if (several) json?.endArray();
    if (!tool.json && json) tool.print('\n');
    return status;
  });
}

/** Gives back the exit status: that of the error which ended the walk, and of which the tool says nothing else. */
async function dumpMap(
  tool: Tool,
  map: Fd,
  info: MapInfo,
  json: JsonWriter | undefined,
  header: boolean,
): Promise<number> {
  const bpf = await tool.bpf;
  const types = json ? await entryTypes(bpf, info, !tool.json) : undefined;
  const printer = await EntryPrinter.of(tool, info, json, types);
  if (json) {
    if (header) {
      json.startObject();
      headerJson(json, info);
      json.name('elements');
    }
    json.startArray();
  } else if (header) tool.print(await headerText(bpf, info));
  if (info.type === MapType.ReuseportSockarray && info.valueSize !== 8) {
    await tool.info(`Warning: cannot read values from ${mapTypeName(info.type)} map with value_size != 8`);
  }
  let count = 0;
  let status = 0;
  try {
    for await (const batch of elements(bpf, map, info)) {
      for (const { key, value } of batch) {
        if (typeof value === 'number') printer.printError(key, value);
        else {
          printer.print(key, value);
          count++;
        }
      }
      await tool.flush();
    }
  } catch (error) {
    if (!(error instanceof BpfError)) throw error;
    status = statusOfErrno(error.errno);
  }
  if (json) {
    json.endArray();
    if (header) json.endObject();
  } else tool.print(`Found ${count} element${count === 1 ? '' : 's'}\n`);
  return status;
}
