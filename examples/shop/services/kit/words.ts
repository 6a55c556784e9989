/**
 * The vocabulary of the generated data. Some of it is not ASCII on purpose: a gateway that takes a string's length
 * for its length in bytes is found out by the first Zoë from Zürich.
 */

export const givenNames = words(`
  Ada Amir Anaïs Bruno Carla Chidi Dana Emre Farah Greta Hana Ines Ivo Jonas Kofi Lena Luca Mads Mei Nadia Noor
  Olga Paulo Priya Quentin Rosa Søren Tariq Uma Vera Wanda Yuki Zoë
`);

export const familyNames = words(`
  Almeida Bauer Costa Dubois Eriksen Fischer García Haddad Iversen Jansen Kowalski Lindqvist Moreau Nakamura
  Okafor Pereira Quist Rossi Sato Türk Ueda Vargas Weiss Xu Yilmaz Zimmer Müller Nuñez
`);

export const cities = words(`
  Amsterdam Athens Barcelona Bergen Bordeaux Bristol Cork Düsseldorf Ghent Graz Köln Kraków León Lisbon Lyon Malmö
  Milan Naples Porto Prague Riga Tallinn Turin Uppsala Vienna Zürich
`);

export const categories = [
  'audio',
  'books',
  'camping',
  'cycling',
  'garden',
  'kitchen',
  'lighting',
  'office',
  'toys',
  'travel',
] as const;

export const adjectives = words(`
  Amber Brisk Calm Deep Early Folding Gentle Hardy Ivory Little Modern Nimble Oak Plain Quiet Rugged Silver Tidy
  Warm Wide
`);

/** What is sold in a category: a product's name and category agree. */
export const goods: Readonly<Record<(typeof categories)[number], readonly string[]>> = {
  audio: ['Headphones', 'Radio', 'Speaker', 'Turntable'],
  books: ['Atlas', 'Cookbook', 'Field Guide', 'Novel'],
  camping: ['Hammock', 'Lantern', 'Stove', 'Tent'],
  cycling: ['Bell', 'Helmet', 'Pannier', 'Saddle'],
  garden: ['Hose', 'Planter', 'Rake', 'Secateurs'],
  kitchen: ['Carafe', 'Kettle', 'Knife', 'Skillet'],
  lighting: ['Candle', 'Desk Lamp', 'Floor Lamp', 'Pendant'],
  office: ['Chair', 'Notebook', 'Pen', 'Shelf'],
  toys: ['Blocks', 'Kite', 'Puzzle', 'Train'],
  travel: ['Backpack', 'Duffel', 'Umbrella', 'Wallet'],
};

export const praise = [
  'Does exactly what it promises.',
  'Better made than it had to be.',
  'I bought a second one for a friend.',
  'It has been in daily use since it came.',
  'The finish is lovely.',
  'Worth every cent.',
  'Très bien, rien à redire.',
  'Quiet, light and solid.',
] as const;

export const complaint = [
  'The box was damaged and so was my patience.',
  'Smaller than the picture suggests.',
  'It wobbles, and no screw will cure it.',
  'Stopped working after a fortnight.',
  'The instructions are for another product.',
  'I expected more for the price.',
  'Für den Preis zu schwach.',
  'It arrived late and incomplete.',
] as const;

export const remark = [
  'Delivery took three days.',
  'The colour is a shade darker than shown.',
  'Assembly takes ten minutes.',
  'My neighbour asked where I got it.',
  'It came in a box three times its size.',
  'Cleaning it is simple.',
  'The manual is short and clear.',
  'I use it mostly at weekends.',
] as const;

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}
