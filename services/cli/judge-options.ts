/** The flags of a judge at an address. It is off by default: then no answer leaves the process. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { fault } from '../../shared/errors/fault.js';
import { createEndpointJudge, type EndpointJudgeConfig } from '../search/judge/endpoint-judge.js';

export interface JudgeFlags {
  readonly judgeUrl?: string;
  readonly judgeModel?: string;
  readonly judgeTemplate?: string;
  readonly sendAnswersToJudge?: boolean;
}

export const addJudgeFlags = (command: Command): Command =>
  command
    .option('--judge-url <url>', 'judge answers by a classifier on an OpenAI-compatible server')
    .option('--judge-model <name>', 'name of the classifier on that server')
    .option('--judge-template <file>', "the classifier's own wording, with {behavior} and {generation}")
    .option('--send-answers-to-judge', 'allow prompts and answers to go to --judge-url');

/** The key, if the server wants one, is in REFUSALSCOPE_JUDGE_KEY: flags are seen by other users. Throws FILE_NOT_FOUND, CONFIG_INVALID. */
export const judgeOf = (flags: JudgeFlags): EndpointJudgeConfig | undefined => {
  const { judgeUrl, judgeModel = 'judge', judgeTemplate, sendAnswersToJudge = false } = flags;
  if (judgeUrl === undefined) return undefined;
  const judge = {
    url: judgeUrl,
    model: judgeModel,
    sendAnswers: sendAnswersToJudge,
    key: process.env.REFUSALSCOPE_JUDGE_KEY || undefined,
    template: judgeTemplate === undefined ? undefined : readTemplate(judgeTemplate),
  };
  // Its faults are told before a model is loaded.
  createEndpointJudge(judge);
  return judge;
};

function readTemplate(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw fault('FILE_NOT_FOUND', `${path} cannot be read: it should hold the wording of the judge's question.`, {
      cause,
    });
  }
}

/** The flags, to be typed again. */
export const judgeArguments = (flags: JudgeFlags): string[] => [
  ...(flags.judgeUrl === undefined ? [] : ['--judge-url', flags.judgeUrl]),
  ...(flags.judgeModel === undefined ? [] : ['--judge-model', flags.judgeModel]),
  ...(flags.judgeTemplate === undefined ? [] : ['--judge-template', flags.judgeTemplate]),
  ...(flags.sendAnswersToJudge ? ['--send-answers-to-judge'] : []),
];
