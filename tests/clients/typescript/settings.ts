// Where the API is and who is asking, as whoever runs the program says.
export const { API_URL: baseUrl = "", OWNER: owner = "" } = process.env;
