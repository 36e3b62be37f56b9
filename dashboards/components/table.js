// A table of cells. Whatever a cell says is set as text, never as HTML.
export default {
  template: `
    <div class="tg-scroll"><table class="tg-table">
      <thead v-if="headed"><tr>
        <th v-for="column in columns" :class="[column.name, {number: column.number}]">{{ column.label }}</th>
      </tr></thead>
      <tbody><tr v-for="row in rows">
        <td v-for="(cell, i) in row" :class="[columns[i].name, {number: columns[i].number}, cell.tone]" :title="hint(cell)">
          <a v-if="cell.href" :href="cell.href">{{ words(cell) }}</a>
          <template v-else>{{ words(cell) }}</template>
        </td>
      </tr></tbody>
    </table></div>`,
  props: { columns: Array, rows: Array, headed: Boolean },
  methods: {
    words(cell) {
      if (!cell.at) return cell.text;
      const moment = new Date(cell.at);
      const today = moment.toDateString() === new Date().toDateString();
      if (!today) return moment.toLocaleDateString("sv") + " " + moment.toLocaleTimeString("sv");
      return moment.toLocaleTimeString("sv") + "." + String(moment.getMilliseconds()).padStart(3, "0");
    },
    hint(cell) {
      return cell.at ? cell.at.replace("T", " ").replace("Z", " UTC") : cell.hint || null;
    },
  },
};
