// People of a GitHub, for programs that play them: a client of @octokit/rest for each, git over HTTP, what they see of
// a pull request, and waiting until they see it.
// Environment: GITHUB_URL, GITHUB_API_URL, and ANA_TOKEN, BEN_TOKEN, … for everybody who is played.
import { Octokit } from '@octokit/rest';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import assert from 'node:assert/strict';

export const env = (name) => process.env[name] ?? assert.fail(`set ${name}`);
export const url = env('GITHUB_URL');
const token = (login) => env(`${login.toUpperCase()}_TOKEN`);
export const client = (login) => new Octokit({ auth: token(login), baseUrl: env('GITHUB_API_URL') });

// A folder in which somebody works with git.
export class Work {
  constructor(login) {
    this.login = login;
    this.folder = mkdtempSync(join(tmpdir(), 'github-client-'));
  }

  git(...args) {
    const basic = Buffer.from(`${this.login}:${token(this.login)}`).toString('base64');
    // The header goes by the environment: nobody sees it in a list of processes.
    const config = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'http.extraHeader', GIT_CONFIG_VALUE_0: `Authorization: Basic ${basic}` };
    const email = `${this.login}@users.noreply.github.com`;
    const who = { GIT_AUTHOR_NAME: this.login, GIT_AUTHOR_EMAIL: email, GIT_COMMITTER_NAME: this.login, GIT_COMMITTER_EMAIL: email };
    const clean = { GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' };
    return execFileSync('git', args, { cwd: this.folder, env: { ...process.env, ...clean, ...config, ...who }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  }

  write(files) {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(this.folder, path)), { recursive: true });
      writeFileSync(join(this.folder, path), content);
    }
  }

  // Commits these files; answers the commit.
  commit(message, files) {
    this.write(files);
    this.git('add', '.');
    this.git('commit', '--quiet', '-m', message);
    return this.git('rev-parse', 'HEAD').trim();
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Looks again and again, until `look` answers something or throws nothing; fails after `bound` with what was seen last.
export async function until(what, look, bound = 180_000) {
  const deadline = Date.now() + bound;
  for (;;) {
    let last;
    try {
      const found = await look();
      if (found) return found;
      last = 'it is not so';
    } catch (error) {
      if (!(error instanceof assert.AssertionError)) throw error;
      last = error.message;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${bound / 1000} s\n${last}`);
    await pause(200);
  }
}

// GitHub's times have whole seconds: whoever answers to what they read does so in a later one.
export async function reads() {
  await pause(1000 - (Date.now() % 1000) + 20);
}
