// The tools of gpt-oss's compatibility test, and the outputs that it gives them.
const object = (properties, required = Object.keys(properties)) => ({
  type: 'object', properties, required, additionalProperties: false,
});
const string = (more = {}) => ({type: 'string', ...more});

export const kTools = {
  get_system_health: {
    description: 'Returns whether the system is healthy.',
    parameters: {type: 'object', properties: {}},
    output: '{"status":"ok","uptime_seconds":372045}',
  },
  markdown_to_html: {
    description: 'Converts Markdown to HTML.',
    parameters: object({markdown: string()}),
    output: '{"html":"<h1>Hello World</h1><p>This is <em>great</em>.</p>"}',
  },
  detect_language: {
    description: 'Tells the language of a text.',
    parameters: object({text: string()}),
    output: '{"language":"de","confidence":0.98}',
  },
  generate_chart: {
    description: 'Draws a chart of rows of numbers.',
    parameters: object(
      {
        data: {type: 'array', items: {type: 'array', items: {type: 'number'}}},
        chart_type: string({enum: ['line', 'bar', 'scatter']}),
        title: string({default: ''}),
        x_label: string({default: ''}),
        y_label: string({default: ''}),
      },
      ['data', 'chart_type'],
    ),
    output: '{"image_png_base64":"iVBORw0KGgoAAAANSUhEUgAA..."}',
  },
  query_database: {
    description: 'Reads rows of a table.',
    parameters: object(
      {
        table: string(),
        columns: {type: 'array', items: {type: 'string'}},
        filters: string({default: ''}),
        limit: {type: 'integer', minimum: 1, maximum: 10000, default: 100},
        order_by: string({default: ''}),
      },
      ['table', 'columns'],
    ),
    output: '{"rows":[{"id":1,"email":"user@example.com"},{"id":2,"email":"foo@bar.com"}],"row_count":2}',
  },
  get_weather: {
    description: 'Tells the weather of a place.',
    parameters: object({location: string()}),
    output: '{"weather":"sunny"}',
  },
};
