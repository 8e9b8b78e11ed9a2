/** Tokenizer files and chat templates: what they say, and a text and a chat encoded with them. */
import { parseChatTemplate } from '../../../services/inference/tokenizer/chat-template.js';
import type { ChatTokenizer } from '../../../services/inference/tokenizer/chat-tokenizer.js';
import { createTokenizerFromFolder } from '../../../services/inference/tokenizer/tokenizer-from-folder.js';
import type { FuzzTarget } from '../harness/fuzz-target.js';
import { isRead } from '../harness/try-case.js';
import { chance, one } from '../mutate/edge-values.js';
import { type Json, mutateJsonText } from '../mutate/mutate-json.js';
import { mutateMessage } from '../mutate/mutate-message.js';
import { mutateText } from '../mutate/mutate-text.js';
import { createScratchFiles } from './scratch-files.js';
import { seedBytes, seedJson } from './seeds.js';

interface TokenizerSeeds {
  readonly byte_level: readonly { readonly tokenizer_json: Json }[];
  readonly templates: Readonly<Record<string, string>>;
}

const seeds = () => seedJson('tokenizer/tokenizers.json') as unknown as TokenizerSeeds;

const MESSAGES = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: "Hello, it's 42 wörlds\n" },
];

const useTokenizer = (tokenizer: ChatTokenizer): boolean => {
  const raw = isRead(() => tokenizer.decode(tokenizer.encodeRaw('Hello,  wörld 42\n😀').tokenIds));
  return isRead(() => tokenizer.encodeChat(MESSAGES.slice(1))) && raw;
};

/** The whole definition is small: vocabularies of some 300 pieces. */
const CONFIG: Json = {
  bos_token: '<s>',
  eos_token: { content: '</s>' },
  add_bos_token: true,
  chat_template: "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\\n' }}{% endfor %}",
  added_tokens_decoder: { 5: { content: '<extra>', special: true } },
};

export const tokenizerJson: FuzzTarget = {
  name: 'tokenizer-json',
  reads: 'tokenizer.json, tokenizer_config.json, generation_config.json',
  weight: 2,
  shortCases: 20,
  open: (scratch) => {
    const write = createScratchFiles(scratch);
    const rows = seeds().byte_level.map(({ tokenizer_json }) => tokenizer_json);
    const texts = rows.map((row) => Buffer.from(JSON.stringify(row)));
    const config = Buffer.from(JSON.stringify(CONFIG));
    const generation = { eos_token_id: [2, 3] };
    return {
      make: (random) => {
        const at = random.below(rows.length);
        const kind = random.uniform();
        return {
          'tokenizer.json': kind < 0.6 ? mutateTokenizer(random, rows[at]!) : texts[at]!,
          'tokenizer_config.json': kind >= 0.6 && kind < 0.95 ? mutateJsonText(random, CONFIG) : config,
          'generation_config.json': kind >= 0.95 ? mutateJsonText(random, generation) : Buffer.from('{}'),
        };
      },
      decode: async (input) => useTokenizer(await createTokenizerFromFolder(write(input))),
    };
  },
};

/** The vocabulary makes up nearly all of a tokenizer.json: most changes go to the rest. */
const mutateTokenizer = (random: Parameters<typeof mutateJsonText>[0], row: Json): Buffer => {
  if (chance(random, 0.2)) return mutateJsonText(random, row, 8);
  const { model, ...rest } = row as { model: { [key: string]: Json } };
  const { vocab, merges, ...settings } = model;
  const changed = mutateJsonText(random, { ...rest, model: settings } as Json, 4).toString('utf8');
  return Buffer.from(
    changed.replace('"model":{', `"model":{"vocab":${JSON.stringify(vocab)},"merges":${JSON.stringify(merges)},`),
  );
};

export const tokenizerModel: FuzzTarget = {
  name: 'tokenizer-model',
  reads: 'tokenizer.model (SentencePiece)',
  weight: 2,
  shortCases: 20,
  open: (scratch) => {
    const write = createScratchFiles(scratch);
    const models = ['plain', 'prefix', 'trimmed'].map((name) => seedBytes(`tokenizer/spm-bpe-${name}.model`));
    const config = Buffer.from(JSON.stringify(CONFIG));
    return {
      make: (random) => ({
        'tokenizer.model': mutateMessage(random, models),
        'tokenizer_config.json': chance(random, 0.2) ? mutateJsonText(random, CONFIG) : config,
      }),
      decode: async (input) => useTokenizer(await createTokenizerFromFolder(write(input))),
    };
  },
};

const TEMPLATE_WORDS = [
  '{{',
  '}}',
  '{%',
  '%}',
  '{%- for x in range(10000) %}',
  '{% for y in range(9999) %}',
  '{% endfor %}',
  '{% set x = x ~ x %}',
  '{% set x = messages + messages %}',
  "{{ 'a' * 1000000000 }}",
  '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}',
  "{{ messages | map(attribute='content') | join(', ') }}",
  '{{ x | indent(1000000) }}',
  '{% if x is defined %}',
  '{% else %}',
  '{% endif %}',
  "{{ raise_exception('no') }}",
  "{{ strftime_now('%Y') }}",
  '{{ messages[0].constructor }}',
  '{{ messages[-1:0:-1] }}',
  '{{ 1 / 0 }}',
  '| tojson(indent=100000000)',
  '| replace("", "aaaaaaaa")',
  'namespace(a=1)',
  'loop.index0',
  '{% break %}',
];

const LOOP = '{% for a in range(9999) %}{% for b in range(9999) %}{{ a * b }}{% endfor %}{% endfor %}';

export const chatTemplate: FuzzTarget = {
  name: 'chat-template',
  reads: 'chat templates (Jinja), loops without end and texts without measure among them',
  weight: 6,
  shortCases: 20,
  open: () => {
    const sources = [...Object.values(seeds().templates), (CONFIG as { chat_template: string }).chat_template, LOOP];
    return {
      make: (random) => ({
        'chat_template.jinja': Buffer.from(mutateText(random, one(random, sources), TEMPLATE_WORDS, 6)),
      }),
      decode: (input) => {
        const source = Buffer.from(input['chat_template.jinja']!).toString('utf8');
        const template = parseChatTemplate(source, { bos_token: '<s>', x: 'ab' });
        return isRead(() => template.render(MESSAGES, true));
      },
    };
  },
};
