// Runs one query with Apollo Client: its data, and its errors by the class that Apollo makes of them.
import { ApolloClient, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { given, tell } from './told.mjs';

const { url, authorization, query, variables } = given;
const client = new ApolloClient({
  link: new HttpLink({ uri: url, headers: authorization ? { authorization } : {} }),
  cache: new InMemoryCache(),
});
const { data, error } = await client.query({ query: gql(query), variables, errorPolicy: 'all' });
tell({ data, error: error && { name: error.name, errors: error.errors } });
