using System.Runtime.CompilerServices;
using static TorchSharp.torch;
using Layer = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace TorchSharp.Modules
{
    /// <summary>Calls its modules one after the other and disposes of what lies between them.</summary>
    public class Sequential : nn.Module<Tensor, Tensor>
    {
        private readonly List<(string Name, nn.IModule<Tensor, Tensor> Module)> _layers = [];

        protected Sequential(params (string name, Layer submodule)[] modules) : base(nameof(Sequential))
        {
            foreach (var (layerName, layer) in modules) Add(layerName, layer);
        }

        protected Sequential(params Layer[] modules) : base(nameof(Sequential))
        {
            foreach (var layer in modules) append(layer);
        }

        internal Sequential() : base(nameof(Sequential)) { }

        public int Count => _layers.Count;

        [IndexerName("SequentialItems")]
        public nn.IModule<Tensor, Tensor> this[int index] => _layers[index].Module;

        public Sequential append(string name, nn.IModule<Tensor, Tensor> module)
        {
            Add(name, module);
            return this;
        }

        /// <summary>Adds a module under its position's number.</summary>
        public Sequential append(nn.IModule<Tensor, Tensor> module) => append(_layers.Count.ToString(), module);

        public override Tensor forward(Tensor tensor)
        {
            if (_layers.Count == 0) return tensor.alias();
            var result = _layers[0].Module.call(tensor);
            foreach (var (_, layer) in _layers.Skip(1))
            {
                using var previous = result;
                result = layer.call(previous);
            }
            return result;
        }

        public override IEnumerable<(string name, nn.Module module)> named_children() =>
            _layers.Select(layer => (layer.Name, (nn.Module)layer.Module));

        public override nn.Module apply(Action<nn.Module> fn)
        {
            foreach (var (_, layer) in _layers) ((nn.Module)layer).apply(fn);
            fn(this);
            return this;
        }

        internal void Add(string layerName, nn.IModule<Tensor, Tensor> layer) => _layers.Add((layerName, layer));
    }
}

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            public static Modules.Sequential Sequential() => new();

            public static Modules.Sequential Sequential(params (string name, Layer submodule)[] modules) =>
                Sequential((IEnumerable<(string, Layer)>)modules);

            public static Modules.Sequential Sequential(params Layer[] modules) => Sequential((IEnumerable<Layer>)modules);

            public static Modules.Sequential Sequential(IEnumerable<(string name, Layer submodule)> modules)
            {
                var result = Sequential();
                foreach (var (name, layer) in modules) result.Add(name, layer);
                return result;
            }

            public static Modules.Sequential Sequential(IEnumerable<Layer> modules)
            {
                var result = Sequential();
                foreach (var layer in modules) result.append(layer);
                return result;
            }
        }
    }
}
