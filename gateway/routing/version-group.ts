import { WeirError } from '#core/errors.ts';
import { firstValue, type Headers } from '#core/headers.ts';
import type { VersionsSettings } from './version-settings.ts';

type GroupSettings = VersionsSettings[string];

/** Routes that are versions of one API: which of them a request is for, and what is said to one that asks for another. */
export abstract class VersionGroup {
  readonly name: string;
  readonly known: readonly string[];
  readonly default: string | undefined;
  /** The request header that answers depend on (RFC 9110 §12.5.5); undefined by path. */
  readonly vary: string | undefined;

  constructor(name: string, settings: GroupSettings, vary: string | undefined) {
    this.name = name;
    this.known = settings.known;
    this.default = settings.default;
    this.vary = vary;
  }

  static of(name: string, settings: GroupSettings): VersionGroup {
    const { by } = settings;
    if (by === 'path') return new ByPath(name, settings);
    return 'header' in by ? new ByHeader(name, settings, by.header) : new ByMediaType(name, settings, by.mediaType);
  }

  /** Whether a request whose path fits is for this version. */
  abstract takes(version: string, headers: Headers): boolean;

  /** What the upstream is not to be bothered with, in place. */
  towardsUpstream(_headers: Headers): void {}

  /** Says in an answer of which version it is, and that it depends on what was asked (RFC 9110 §12.5.5), in place. */
  mark(version: string, headers: Headers): void {
    this.towardsClient(version, headers);
    if (this.vary === undefined || headers.vary === '*') return;
    headers.vary = headers.vary === undefined ? this.vary : `${String(headers.vary)}, ${this.vary}`;
  }

  protected towardsClient(_version: string, _headers: Headers): void {}

  /** What a request for a version says of it in its head; nothing by path. */
  asking(_version: string): Headers {
    return {};
  }

  /** The request header that names the version, for who describes the API; undefined where there is none. */
  get header(): string | undefined {
    return undefined;
  }

  /** In which JSON of a version is sent, in place of `application/json`; undefined where versions are not told by it. */
  mediaTypeOf(_version: string): string | undefined {
    return undefined;
  }

  /** RFC 9110 §15.5.7: a version is a representation that is not there. */
  refusal(): WeirError {
    const names = this.known.join(', ');
    return new WeirError('NOT_ACCEPTABLE', {
      detail: `There is no such version of '${this.name}' here. Known are ${names}; ${this.howToAsk()}`,
      extensions: { versions: this.known },
      ...(this.vary !== undefined && { headers: { vary: this.vary } }),
    });
  }

  protected abstract howToAsk(): string;
}

/** By a segment of the path, so the route table tells them apart. */
class ByPath extends VersionGroup {
  constructor(name: string, settings: GroupSettings) {
    super(name, settings, undefined);
  }

  override takes(): boolean {
    return true;
  }

  protected override howToAsk(): string {
    return 'name one in the path.';
  }
}

class ByHeader extends VersionGroup {
  readonly #header: string;

  constructor(name: string, settings: GroupSettings, header: string) {
    super(name, settings, header);
    this.#header = header;
  }

  override takes(version: string, headers: Headers): boolean {
    return (firstValue(headers[this.#header])?.trim() ?? this.default) === version;
  }

  override asking(version: string): Headers {
    return { [this.#header]: version };
  }

  override get header(): string {
    return this.#header;
  }

  protected override howToAsk(): string {
    return `send ${this.#header} with one of them.`;
  }
}

const anyJson: ReadonlySet<string> = new Set(['*/*', 'application/*', 'application/json']);

class ByMediaType extends VersionGroup {
  readonly #template: string;
  readonly #before: string;
  readonly #after: string;
  /** Routes of one group are asked one after the other about the same request. */
  #last: { readonly accept: string | undefined; readonly version: string | undefined } | undefined;

  constructor(name: string, settings: GroupSettings, template: string) {
    super(name, settings, 'accept');
    const [before = '', after = ''] = template.split('{version}');
    this.#template = template;
    this.#before = before;
    this.#after = after;
  }

  override takes(version: string, { accept }: Headers): boolean {
    const text = accept === undefined ? undefined : String(accept);
    if (!this.#last || this.#last.accept !== text) this.#last = { accept: text, version: this.#asked(text) };
    return this.#last.version === version;
  }

  /** RFC 9110 §12.5.1: of the versions that are accepted, the one of the greatest weight; of equals, the first. */
  #asked(accept: string | undefined): string | undefined {
    if (accept === undefined) return this.default;
    let best: string | undefined;
    let weight = 0;
    let named = false;
    for (const item of accept.toLowerCase().split(',')) {
      const [type = '', ...parameters] = item.split(';').map((part) => part.trim());
      const version = this.#versionIn(type);
      named ||= version !== undefined;
      const offered = version === undefined ? (anyJson.has(type) ? this.default : undefined) : version;
      const q = parameters.find((parameter) => parameter.startsWith('q='));
      const quality = q === undefined ? 1 : Number(q.slice(2));
      if (offered === undefined || !this.known.includes(offered) || !(quality > weight)) continue;
      best = offered;
      weight = quality;
    }
    // What speaks of no version of ours, such as text/html, is for the upstream to accept or not.
    return named ? best : (best ?? this.default);
  }

  #versionIn(type: string): string | undefined {
    if (!type.startsWith(this.#before) || !type.endsWith(this.#after)) return undefined;
    const version = type.slice(this.#before.length, type.length - this.#after.length);
    return version === '' || type.length < this.#before.length + this.#after.length ? undefined : version;
  }

  /** The upstream knows nothing of the gateway's media types. */
  override towardsUpstream(headers: Headers): void {
    const content = firstValue(headers['content-type']);
    if (content !== undefined && this.#versionIn(typeOf(content)) !== undefined)
      headers['content-type'] = 'application/json';
    const accept = headers.accept;
    if (accept !== undefined && String(accept).toLowerCase().includes(this.#before))
      headers.accept = 'application/json, */*;q=0.5';
  }

  protected override towardsClient(version: string, headers: Headers): void {
    const content = firstValue(headers['content-type']);
    if (content !== undefined && typeOf(content) === 'application/json')
      headers['content-type'] = this.mediaTypeOf(version);
  }

  override asking(version: string): Headers {
    return { accept: this.mediaTypeOf(version) };
  }

  override mediaTypeOf(version: string): string {
    return this.#template.replace('{version}', version);
  }

  protected override howToAsk(): string {
    return `send Accept: ${this.#template} with one of them for {version}.`;
  }
}

function typeOf(content: string): string {
  return content.split(';', 1)[0]!.trim().toLowerCase();
}
