// The filters of a list. The page's address holds them: applying them is going there.
const local = (iso) => {
  const moment = new Date(iso);
  if (!iso || isNaN(moment)) return "";
  return new Date(moment - moment.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
};

export default {
  template: `
    <form class="tg-filters" role="search" @submit.prevent="apply">
      <label v-for="field in fields" :key="field.name" :class="field.name">
        <span>{{ field.label }}</span>
        <select v-if="field.choices.length" :name="field.name" v-model="values[field.name]" @change="apply">
          <option value="">any</option>
          <option v-for="choice in field.choices" :value="choice">{{ choice }}</option>
        </select>
        <input v-else :name="field.name" :type="field.type" :placeholder="field.hint" v-model="values[field.name]">
      </label>
      <button type="submit">Apply</button>
      <a v-if="fields.some((field) => field.value)" :href="path">Clear</a>
    </form>`,
  props: { fields: Array, path: String },
  data() {
    const shown = (field) => (field.type === "datetime-local" ? local(field.value) : field.value);
    return { values: Object.fromEntries(this.fields.map((field) => [field.name, shown(field)])) };
  },
  methods: {
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
