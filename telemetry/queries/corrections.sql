-- How often a call was found to cost something else; known without reading a row.
SELECT toInt64(count()) AS corrections FROM cost_corrections
