// The tool that most suites call, and a script in which the model calls it and answers.
import {call, preamble, say, think, turn} from './harness.mjs';

export const kQuestion = 'What is the weather in Paris?';
export const kReport = 'sunny, 23 degrees (report 4711)';
export const kAnswer = 'It is sunny in Paris, 23 degrees.';

export const kParameters = {
  type: 'object',
  properties: {city: {type: 'string', description: 'Name of the city'}},
  required: ['city'],
  additionalProperties: false,
};
export const kDescription = 'Tells the weather of a city.';
export const kResponsesTool = {
  type: 'function', name: 'get_weather', description: kDescription, parameters: kParameters, strict: true,
};
export const kChatTool = {
  type: 'function', function: {name: 'get_weather', description: kDescription, parameters: kParameters, strict: true},
};

/** The second turn is played only when the tool's output reached the model. */
export const kScript = [
  {
    match: kQuestion,
    text: turn(
      think('I must look up the weather in Paris.'), preamble('Let me look.'), call('functions.get_weather', {city: 'Paris'})
    ),
  },
  {match: kReport, text: turn(think('The report is good.'), say(kAnswer))},
];
