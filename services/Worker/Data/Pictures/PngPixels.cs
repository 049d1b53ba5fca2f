namespace Cluster.Worker.Data.Pictures;

/// <summary>Makes a PNG's rows a picture's: 8 bits of red, green and blue, or of grey alone.</summary>
internal readonly struct PngPixels
{
    private readonly int _channels;
    private readonly int _depth;
    private readonly int _pixelBytes;
    private readonly int _sampleBytes; // from red to green and from there to blue: none where all three are one grey
    private readonly byte[]? _colours; // what an index stands for

    public PngPixels(PngHeader header, ReadOnlySpan<byte> palette, int channels)
    {
        if ((header.Colours == PngColours.Palette && palette.Length is 0 or > 768) || palette.Length % 3 != 0)
            throw new BrokenPictureException($"is a damaged PNG file: its palette has {palette.Length} bytes");
        _channels = channels;
        (_depth, _pixelBytes) = (header.Depth, header.FilterBytes);
        _sampleBytes = header.Colours is PngColours.Rgb or PngColours.Rgba ? _depth / 8 : 0;
        if (header.Colours == PngColours.Palette)
            _colours = channels == 3 ? palette.ToArray() : [.. palette.ToArray().Chunk(3).Select(rgb => Grey.Of(rgb[0], rgb[1], rgb[2]))];
        else if (_depth < 8)
            _colours = [.. Levels(_depth).SelectMany(level => Enumerable.Repeat(level, channels))];
    }

    /// <param name="row">Of the PNG.</param>
    /// <param name="width">Pixels in it.</param>
    /// <param name="target">Where the first one goes.</param>
    /// <param name="step">From there to the next, in pixels.</param>
    public void Expand(ReadOnlySpan<byte> row, int width, Span<byte> target, int step)
    {
        if (_colours is not null)
            LookUp(row, width, target, step * _channels);
        else if (step == 1 && _pixelBytes == _channels)
            row[..(width * _channels)].CopyTo(target);
        else
            Convert(row, width, target, step * _channels);
    }

    private void LookUp(ReadOnlySpan<byte> row, int width, Span<byte> target, int step)
    {
        var mask = (1 << _depth) - 1;
        for (var x = 0; x < width; x++)
        {
            var bit = x * _depth; // from the highest
            var colour = _channels * ((row[bit / 8] >> (8 - _depth - (bit % 8))) & mask);
            if (colour >= _colours!.Length)
            {
                throw new BrokenPictureException(
                    $"is a damaged PNG file: a pixel has colour {colour / _channels} of a palette of {_colours.Length / _channels}");
            }

            target[x * step] = _colours[colour];
            if (_channels == 3)
                (target[(x * step) + 1], target[(x * step) + 2]) = (_colours[colour + 1], _colours[colour + 2]);
        }
    }

    /// <summary>Of 16 bits the upper 8 count, which come first.</summary>
    private void Convert(ReadOnlySpan<byte> row, int width, Span<byte> target, int step)
    {
        for (var x = 0; x < width; x++)
        {
            var at = x * _pixelBytes;
            var (red, green, blue) = (row[at], row[at + _sampleBytes], row[at + (2 * _sampleBytes)]);
            if (_channels == 1)
                target[x * step] = Grey.Of(red, green, blue); // of a grey it is the grey
            else
                (target[x * step], target[(x * step) + 1], target[(x * step) + 2]) = (red, green, blue);
        }
    }

    /// <summary>Those that a few bits have, spread over 0 to 255.</summary>
    private static IEnumerable<byte> Levels(int depth)
    {
        var highest = (1 << depth) - 1;
        return Enumerable.Range(0, highest + 1).Select(level => (byte)(level * 255 / highest));
    }
}
