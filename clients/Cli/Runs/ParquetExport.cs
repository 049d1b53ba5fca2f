using Parquet;
using Parquet.Schema;

namespace Cluster.Cli.Runs;

/// <summary>Rows as Parquet: a column of its own type each, in groups of rows that fit in memory whatever there is to write.</summary>
internal static class ParquetExport
{
    private const int RowsOfAGroup = 100_000;

    /// <param name="output">May be gone through more than once.</param>
    public static async Task WriteAsync(ExportRows rows, Stream output, CancellationToken cancellationToken)
    {
        var fields = rows.Columns.Select(Field).ToArray();
        await using var writer = await ParquetWriter.CreateAsync(new ParquetSchema(fields), output, cancellationToken: cancellationToken);
        await foreach (var group in rows.Rows.Chunk(RowsOfAGroup).WithCancellation(cancellationToken))
        {
            using var target = writer.CreateRowGroup();
            for (var column = 0; column < fields.Length; column++)
            {
                var values = Array.ConvertAll(group, row => row[column]);
                await WriteAsync(target, fields[column], rows.Columns[column].Type, values, cancellationToken);
            }
        }
    }

    private static DataField Field(ExportColumn column) => column.Type == typeof(DateTime)
        ? new DateTimeDataField(column.Name, DateTimeFormat.DateAndTimeMicros, isNullable: true)
        : new DataField(column.Name, column.Type, isNullable: true);

    private static Task WriteAsync(
        ParquetRowGroupWriter target, DataField field, Type type, object?[] values, CancellationToken cancellationToken)
    {
        if (type == typeof(double))
            return WriteAsync<double>(target, field, values, cancellationToken);
        if (type == typeof(long))
            return WriteAsync<long>(target, field, values, cancellationToken);
        if (type == typeof(bool))
            return WriteAsync<bool>(target, field, values, cancellationToken);
        return type == typeof(DateTime)
            ? WriteAsync<DateTime>(target, field, values, cancellationToken)
            : target.WriteAsync(field, Array.ConvertAll(values, value => (string?)value));
    }

    private static Task WriteAsync<T>(
        ParquetRowGroupWriter target, DataField field, object?[] values, CancellationToken cancellationToken)
        where T : struct =>
        target.WriteAsync<T>(field, Array.ConvertAll(values, value => (T?)value), cancellationToken: cancellationToken);
}
