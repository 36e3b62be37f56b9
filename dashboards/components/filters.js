// The filters of a list. The page's address holds them: applying them is going there.
const local = (iso) => {
  const moment = new Date(iso);
  if (!iso || isNaN(moment)) return "";
  return new Date(moment - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
};

export default {
  template: `
    <form class="tg-filters" role="search" @submit.prevent="apply">
      <label v-for="field in fields" :key="field.name" :class="field.name" v-show="all || !field.more">
        <span>{{ field.label }}</span>
        <select v-if="field.choices.length" :name="field.name" v-model="values[field.name]" @change="apply">
          <option v-if="field.none" value="">{{ field.none }}</option>
          <option v-for="choice in field.choices" :value="choice">{{ choice.replaceAll("_", " ") }}</option>
        </select>
        <input v-else :name="field.name" :type="field.type" :placeholder="field.hint" v-model="values[field.name]"
          @change="clear(field)">
      </label>
      <button type="submit">Apply</button>
      <a v-if="!all" href="#" @click.prevent="all = true">More filters</a>
      <a v-if="narrowed" :href="path">Clear</a>
    </form>`,
  props: { fields: Array, path: String },
  data() {
    const shown = (field) => (field.type === "datetime-local" ? local(field.value) : field.value);
    return {
      all: this.fields.every((field) => !field.more) || this.fields.some((field) => field.more && field.value),
      narrowed: location.search.length > 1,
      values: Object.fromEntries(this.fields.map((field) => [field.name, shown(field)])),
    };
  },
  methods: {
    clear(field) {
      for (const name of field.clears) this.values[name] = "";
    },
    apply() {
      const query = new URLSearchParams();
      for (const field of this.fields) {
        const value = this.values[field.name];
        if (!value) continue;
        const moment = field.type === "datetime-local";
        query.set(field.name, moment ? new Date(value).toISOString().replace(":00.000Z", "Z") : value);
      }
      location.assign(this.path + (query.size ? "?" + query : ""));
    },
  },
};
