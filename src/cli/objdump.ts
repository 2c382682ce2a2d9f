export interface ObjdumpOptions {
  source?: boolean;
  section: readonly string[];
}
export async function objdump(_object: string, _options: ObjdumpOptions): Promise<void> {}
