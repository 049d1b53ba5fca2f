using System.Globalization;
using System.Text;

namespace Cluster.Cli.Rendering;

/// <summary>Curves over each other, each of its own letter: the same on any terminal, in a pipe and without colours.</summary>
/// <param name="width">Columns between the axes.</param>
/// <param name="height">Lines of the curves, 2 at least.</param>
internal sealed class TextPlot(int width, int height)
{
    /// <summary>Where curves meet.</summary>
    private const char Several = '*';

    private readonly List<(char Letter, List<(double X, double Y)> Points)> _curves = [];

    /// <param name="points">In ascending x. Those whose y is not finite leave a gap, which the line crosses.</param>
    public void Add(char letter, IEnumerable<(double X, double Y)> points) =>
        _curves.Add((letter, [.. points.Where(point => double.IsFinite(point.Y))]));

    /// <returns>Lines that end in line feeds; one that says so where there is nothing to draw.</returns>
    public string Render()
    {
        var all = _curves.SelectMany(curve => curve.Points).ToList();
        if (all.Count == 0)
            return "  no points\n";
        var (left, right) = (all.Min(point => point.X), all.Max(point => point.X));
        var (low, high) = (all.Min(point => point.Y), all.Max(point => point.Y));
        var cells = new char[height, width];
        foreach (var (letter, points) in _curves)
        {
            foreach (var (column, y) in Columns(points, left, right))
            {
                var row = (int)Math.Round((high - y) / Span(low, high) * (height - 1));
                cells[row, column] = cells[row, column] is '\0' || cells[row, column] == letter ? letter : Several;
            }
        }

        return Draw(cells, Label(high), Label(low), Label(left), Label(right));
    }

    /// <summary>A line through the means of what falls into each column.</summary>
    private IEnumerable<(int Column, double Y)> Columns(List<(double X, double Y)> points, double left, double right)
    {
        (int Column, double Y)? last = null;
        var means = points.GroupBy(
            point => (int)Math.Round((point.X - left) / Span(left, right) * (width - 1)), point => point.Y,
            (column, values) => (Column: column, Y: values.Average()));
        foreach (var mean in means)
        {
            if (last is { } from)
            {
                for (var column = from.Column + 1; column < mean.Column; column++)
                    yield return (column, from.Y + ((mean.Y - from.Y) * (column - from.Column) / (mean.Column - from.Column)));
            }

            yield return mean;
            last = mean;
        }
    }

    private string Draw(char[,] cells, string high, string low, string left, string right)
    {
        var gutter = Math.Max(high.Length, low.Length);
        var text = new StringBuilder();
        for (var row = 0; row < height; row++)
        {
            var label = row == 0 ? high : row == height - 1 ? low : "";
            var line = new StringBuilder($"  {label.PadLeft(gutter)} │");
            for (var column = 0; column < width; column++)
                line.Append(cells[row, column] is '\0' ? ' ' : cells[row, column]);
            text.Append(line.ToString().TrimEnd()).Append('\n');
        }

        var blank = new string(' ', gutter + 3);
        text.Append(blank).Append('└').Append('─', width).Append('\n');
        text.Append(blank).Append(' ').Append(left).Append(right.PadLeft(Math.Max(width - left.Length, right.Length + 1))).Append('\n');
        return text.ToString();
    }

    // Of one value only, any length of the axis will do.
    private static double Span(double from, double to) => to > from ? to - from : 1;

    private static string Label(double value) => value.ToString("G4", CultureInfo.InvariantCulture);
}
