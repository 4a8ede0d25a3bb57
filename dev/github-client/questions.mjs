// Holds GraphQL questions and their answers against GitHub's own schema (@octokit/graphql-schema).
// Standard input: a JSON list of {query, variables, data}. Prints what is wrong, a line each; ends 0 only when
// nothing is and at least one question was asked.
import { schema } from '@octokit/graphql-schema';
import { buildSchema, execute, parse, validate } from 'graphql';
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';

const github = buildSchema(schema.idl, { assumeValidSDL: true });
const plain = (value) => JSON.parse(JSON.stringify(value));

function wrong({ query, variables, data }) {
  const document = parse(query);
  const invalid = validate(github, document);
  if (invalid.length > 0) return invalid.map((error) => error.message);
  // The answer is played back through the schema: what does not fit its types is an error or is missing.
  // Where no type was asked for, any that is possible has the fields that could be asked for.
  const typeResolver = (value, context, info, abstract) => value.__typename ?? github.getPossibleTypes(abstract)[0].name;
  const fieldResolver = (source, args, context, info) => source[info.path.key];
  const played = execute({ schema: github, document, variableValues: variables, rootValue: data, typeResolver, fieldResolver });
  if (played.errors) return played.errors.map((error) => `the answer: ${error.message}`);
  return isDeepStrictEqual(plain(played.data), data) ? [] : [`the answer has more than was asked: ${JSON.stringify(data)}`];
}

const questions = JSON.parse(readFileSync(0, 'utf8'));
let found = questions.length === 0 ? ['nothing was asked'] : [];
for (const question of questions) {
  try {
    found.push(...wrong(question).map((text) => `${question.query}: ${text}`));
  } catch (error) {
    found.push(`${question.query}: ${error.message}`);
  }
}
found.forEach((line) => console.log(line));
process.exit(found.length === 0 ? 0 : 1);
